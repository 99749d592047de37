#include "services/cacheapi/edge/api.h"

#include <algorithm>
#include <utility>

#include "services/cacheapi/model/version.h"
#include "services/runtime/base/text.h"
#include "services/runtime/pg/client.h"

namespace lab::cacheapi {
namespace {

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

absl::Status Away(const absl::Status& status) { return absl::UnavailableError(status.message()); }

// What has passed our checks cannot be the caller's mistake any more.
absl::Status OfOurs(const absl::Status& status) { return absl::InternalError(status.message()); }

// A status of the stores, to who wanted to read.
absl::Status ToReader(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return status;
    case absl::StatusCode::kAborted:             // the connection was lost
    case absl::StatusCode::kResourceExhausted:   // too many wait
    case absl::StatusCode::kFailedPrecondition:  // it refuses: starting, stopping, out of disk, no such database
    case absl::StatusCode::kCancelled:
      return Away(status);
    default:
      return OfOurs(status);
  }
}

// The same to who wanted to write. Whatever may have happened is DEADLINE_EXCEEDED; sent again, it changes nothing more
// if that is done as `again` says.
absl::Status ToWriter(const absl::Status& status, std::string_view again) {
  if (status.ok() || absl::IsNotFound(status) || absl::IsAlreadyExists(status)) return status;
  if (pg::OutcomeUnknown(status)) {
    return absl::DeadlineExceededError(
        Concat("it may have been written: ", again, " (", std::string(status.message()), ")"));
  }
  return ToReader(status);
}

// What passes now may begin. Nobody waits for it once its deadline is over; begun then it would happen all the same.
absl::Status MayBegin(absl::Status passed, Clock::time_point deadline) {
  if (!passed.ok() || Clock::now() < deadline) return passed;
  return absl::UnavailableError("the caller's deadline was over before the write began");
}

}  // namespace

absl::Status CheckTenant(std::string_view tenant) {
  if (tenant.size() > kMostTenantBytes) {
    return absl::InvalidArgumentError(Concat("tenant: is longer than ", kMostTenantBytes, " bytes"));
  }
  if (!IsPrintable(tenant)) return absl::InvalidArgumentError("tenant: only printable ASCII is allowed");
  return absl::OkStatus();
}

absl::Status CheckCorrection(const Correction& correction) {
  if (absl::Status wrong = CheckBrand(correction.brand); !wrong.ok()) return wrong;
  if (correction.posts > kMostPosts || correction.posts < -kMostPosts) {
    return absl::InvalidArgumentError(Concat("posts: ", correction.posts, " is beyond ", kMostPosts, " up or down"));
  }
  if (correction.note.size() > kMostNoteBytes) {
    return absl::InvalidArgumentError(Concat("note: is longer than ", kMostNoteBytes, " bytes"));
  }
  if (correction.note.find('\0') != std::string::npos) return absl::InvalidArgumentError("note: has a zero byte");
  if (correction.request_id.size() > kMostRequestIdBytes) {
    return absl::InvalidArgumentError(Concat("idempotency key: is longer than ", kMostRequestIdBytes, " bytes"));
  }
  if (!IsPrintable(correction.request_id)) {
    return absl::InvalidArgumentError("idempotency key: only printable ASCII is allowed");
  }
  return absl::OkStatus();
}

absl::Status CheckNewBrand(const Api::NewBrand& brand) {
  if (absl::Status wrong = CheckBrand(brand.id); !wrong.ok()) return wrong;
  if (brand.name.size() > kMostNameBytes) {
    return absl::InvalidArgumentError(Concat("name: is longer than ", kMostNameBytes, " bytes"));
  }
  if (brand.name.find('\0') != std::string::npos) return absl::InvalidArgumentError("name: has a zero byte");
  return absl::OkStatus();
}

Api::Api(Reader& reader, Writer& writer, BrandCreator& creator, LimiterClient* limiter, Options options, uint64_t seed)
    : reader_(reader), writer_(writer), creator_(creator), limiter_(limiter), options_(options), random_(seed) {}

void Api::Pass(const Caller& caller, Clock::time_point deadline, Passed then) {
  if (limiter_ == nullptr) return then(absl::OkStatus(), {});
  limiter_->Ask(caller.tenant, deadline, caller.trace,
                [then = std::move(then)](LimiterClient::Verdict verdict) mutable {
                  using Code = LimiterClient::Verdict::Code;
                  absl::Status status;
                  if (verdict.code == Code::kOverLimit)
                    status = absl::ResourceExhaustedError("over the rate limit of this tenant");
                  if (verdict.code == Code::kUnknown) {
                    status = absl::UnavailableError("the rate limiter does not answer, and nothing passes without it");
                  }
                  then(std::move(status), std::move(verdict.fields));
                });
}

void Api::Get(const Caller& caller, std::string_view brand, std::string_view window, ReadDone done) {
  Read read;
  read.status = CheckBrand(brand);
  if (read.status.ok()) read.status = CheckTenant(caller.tenant);
  if (read.status.ok()) {
    const absl::StatusOr<Window> parsed = ParseWindow(window);
    read.status = parsed.status();
    if (parsed.ok()) read.window = *parsed;
  }
  if (!read.status.ok()) return done(std::move(read));
  const Clock::time_point deadline = std::min(caller.deadline, Clock::now() + options_.deadline);
  Pass(caller, deadline,
       [this, brand = std::string(brand), actor = std::string(caller.actor), deadline, read = std::move(read),
        done = std::move(done)](absl::Status passed, LimiterClient::Fields fields) mutable {
         read.limit = std::move(fields);
         read.status = std::move(passed);
         if (!read.status.ok()) return done(std::move(read));
         const Window asked = read.window;
         reader_.Get({brand, asked, deadline, actor},
                     [this, read = std::move(read), done = std::move(done)](Answer answer) mutable {
                       read.status = ToReader(answer.status);
                       read.facts = FactsOf(answer.value, options_.stale_while_revalidate, Clock::now());
                       read.answer = std::move(answer);
                       done(std::move(read));
                     });
       });
}

void Api::Write(const Caller& caller, Correction correction, WriteDone done) {
  Written written;
  written.status = CheckCorrection(correction);
  if (written.status.ok()) written.status = CheckTenant(caller.tenant);
  if (!written.status.ok()) return done(std::move(written));
  if (correction.request_id.empty()) correction.request_id = Concat("own-", random_.Next(), "-", random_.Next());
  const Clock::time_point deadline = caller.deadline;
  Pass(caller, deadline,
       [this, deadline, correction = std::move(correction), actor = std::string(caller.actor),
        written = std::move(written),
        done = std::move(done)](absl::Status passed, LimiterClient::Fields fields) mutable {
         written.limit = std::move(fields);
         written.status = MayBegin(std::move(passed), deadline);
         if (!written.status.ok()) return done(std::move(written));
         writer_.Write(
             correction, actor,
             [written = std::move(written), done = std::move(done)](absl::StatusOr<uint64_t> version) mutable {
               written.status = ToWriter(version.status(), "ask again with the same key");
               written.queued = version.ok() && *version == kVersionUnknown;
               if (version.ok() && !written.queued) written.version = *version;
               done(std::move(written));
             });
       });
}

void Api::Create(const Caller& caller, NewBrand brand, CreateDone done) {
  Created created;
  created.status = CheckNewBrand(brand);
  if (created.status.ok()) created.status = CheckTenant(caller.tenant);
  if (!created.status.ok()) return done(std::move(created));
  if (brand.name.empty()) brand.name = brand.id;
  const Clock::time_point deadline = std::min(caller.deadline, Clock::now() + options_.deadline);
  Pass(caller, deadline,
       [this, deadline, brand = std::move(brand), actor = std::string(caller.actor), created = std::move(created),
        done = std::move(done)](absl::Status passed, LimiterClient::Fields fields) mutable {
         created.limit = std::move(fields);
         created.status = MayBegin(std::move(passed), deadline);
         if (!created.status.ok()) return done(std::move(created));
         creator_.Create(brand.id, brand.name, actor, deadline,
                         [created = std::move(created),
                          done = std::move(done)](absl::StatusOr<BrandCreator::Created> made) mutable {
                           created.status = ToWriter(made.status(), "send it again");
                           if (made.ok()) {
                             created.created = made->created;
                             created.version = made->version;
                           }
                           done(std::move(created));
                         });
       });
}

}  // namespace lab::cacheapi
