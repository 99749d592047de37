#include "bench/load/targets/cacheapi.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "bench/cacheapi/names.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kMostTenantBytes = 64;

// The fields, read.
struct Form {
  std::string window, tenant;
  double writes = 0;   // share of all operations
  double missing = 0;  // share of the reads
  bool fresh = false;  // what is missing is never asked for twice
  uint16_t sessions = 0;
};

enum class Kind { kGet, kPut, kMixed };

std::vector<RequestField> FieldsOf(Kind kind) {
  std::vector<RequestField> fields;
  if (kind != Kind::kPut) {
    fields.push_back({"window", cacheapi::kDefaultWindow, "of the insight: 1h, 6h, 24h, 7d or 30d"});
    fields.push_back({"missing", "0%", "share of the reads that ask for a brand that does not exist"});
    fields.push_back({"missing_keys", "same", "same: as many of them as keys; fresh: never the same one twice"});
  }
  fields.push_back({"tenant", "", "sent as X-Tenant; {key} stands for the number of the key"});
  if (kind == Kind::kMixed) fields.push_back({"writes", "5%", "share of the operations that write a correction"});
  fields.push_back({"sessions", kind == Kind::kMixed ? "50" : "0",
                    "clients among whom the operations are spread: what a session wrote it must read"});
  return fields;
}

absl::StatusOr<double> ReadShare(const std::string& name, const std::string& text) {
  const absl::StatusOr<double> share = ShareOf(text);
  if (share.ok() && *share >= 0 && *share <= 1) return *share;
  return absl::InvalidArgumentError(Concat(name, ": \"", text, "\" is not a share from 0% to 100%"));
}

bool IsTenant(const std::string& text) {
  return text.size() <= kMostTenantBytes &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

absl::StatusOr<Form> ReadForm(Kind kind, const RequestFields& fields) {
  Form form;
  form.tenant = fields.at("tenant");
  if (!IsTenant(form.tenant)) {
    return absl::InvalidArgumentError("tenant: at most 64 bytes of ASCII without blanks, as it is sent in a header");
  }
  int sessions = 0;
  if (!absl::SimpleAtoi(fields.at("sessions"), &sessions) || sessions < 0 || sessions > kMostSessions) {
    return absl::InvalidArgumentError(
        Concat("sessions: \"", fields.at("sessions"), "\" is not a number from 0 to ", kMostSessions));
  }
  form.sessions = static_cast<uint16_t>(sessions);
  if (kind == Kind::kPut) {
    form.writes = 1;
    return form;
  }
  form.window = fields.at("window");
  const auto& windows = cacheapi::kWindows;
  if (std::find(windows.begin(), windows.end(), form.window) == windows.end()) {
    return absl::InvalidArgumentError(
        Concat("window: \"", form.window, "\" is none of ", absl::StrJoin(windows, ", ")));
  }
  const std::string& keys = fields.at("missing_keys");
  if (keys != "same" && keys != "fresh") {
    return absl::InvalidArgumentError(Concat("missing_keys: \"", keys, "\" is none of same, fresh"));
  }
  form.fresh = keys == "fresh";
  const absl::StatusOr<double> missing = ReadShare("missing", fields.at("missing"));
  if (!missing.ok()) return missing.status();
  form.missing = *missing;
  if (kind == Kind::kGet) return form;
  const absl::StatusOr<double> writes = ReadShare("writes", fields.at("writes"));
  if (!writes.ok()) return writes.status();
  form.writes = *writes;
  return form;
}

std::string TenantLine(const Form& form, uint32_t key) {
  if (form.tenant.empty()) return "";
  return Concat("x-tenant: ", absl::StrReplaceAll(form.tenant, {{"{key}", std::to_string(key)}}), "\r\n");
}

std::string Get(const Form& form, std::string_view brand, uint32_t key) {
  return Concat("GET /v1/brands/", brand, "/insights?window=", form.window, " HTTP/1.1\r\nhost: localhost\r\n",
                TenantLine(form, key), "\r\n");
}

// The correction is small and its size constant: what matters is the version that it makes.
std::string Put(const Form& form, uint32_t key, std::string_view unique) {
  constexpr std::string_view kBody = "{\"posts\":1,\"note\":\"by the load\"}";
  return Concat("PUT /v1/brands/", cacheapi::BrandOf(key), "/correction HTTP/1.1\r\nhost: localhost\r\n",
                "content-type: application/json\r\nidempotency-key: ", unique, "\r\n", TenantLine(form, key),
                "content-length: ", kBody.size(), "\r\n\r\n", kBody);
}

template <Kind kKind>
absl::StatusOr<BodyWriter> Prepare(const RequestFields& fields) {
  const absl::StatusOr<Form> form = ReadForm(kKind, fields);
  if (!form.ok()) return form.status();
  return BodyWriter([form = *form](uint32_t key) { return Get(form, cacheapi::BrandOf(key), key); });
}

// Of one drawn number: its upper half is the kind of question, its lower half the session.
Question QuestionOf(const Form& form, uint64_t drawn) {
  Question question;
  const double place = static_cast<double>(drawn >> 32) * 0x1p-32;  // [0, 1)
  if (place < form.writes) {
    question.ask = Ask::kWrite;
  } else if (place - form.writes < form.missing * (1 - form.writes)) {
    question.ask = Ask::kMissing;
  }
  if (form.sessions > 0) question.session = static_cast<uint16_t>(1 + (drawn & 0xffffffff) % form.sessions);
  return question;
}

template <Kind kKind>
Mixture MixtureOf(const RequestFields& fields) {
  const absl::StatusOr<Form> form = ReadForm(kKind, fields);
  if (!form.ok() || (form->writes <= 0 && form->missing <= 0 && form->sessions == 0)) return {};
  Mixture mixture;
  mixture.question = [form = *form](uint64_t drawn) { return QuestionOf(form, drawn); };
  mixture.write = [form = *form](uint32_t key, const Question& question, std::string_view unique) {
    if (question.ask == Ask::kWrite) return Put(form, key, unique);
    return form.fresh ? Get(form, Concat("none-", unique), key) : Get(form, Concat("none-", key), key);
  };
  return mixture;
}

// The value of a header field; "" when there is none.
std::string_view Field(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    std::string_view line = head.substr(at + 2);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (!absl::EqualsIgnoreCase(View(line.substr(0, name.size())), View(name))) continue;
    line = line.substr(name.size() + 1, line.find("\r\n") - name.size() - 1);
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    return line;
  }
  return "";
}

// Larger ones do not occur: each is a commit of one run. 0 when there is none.
uint32_t VersionOf(std::string_view head) {
  uint32_t version = 0;
  return absl::SimpleAtoi(View(Field(head, "x-version")), &version) ? version : 0;
}

Answer AnswerOf(std::string_view head) {
  const std::string_view how = Field(head, "x-cache");
  if (how == "hit") return Field(head, "x-cache-tier") == "l1" ? Answer::kHitLocal : Answer::kHitShared;
  if (how == "miss") return Answer::kMiss;
  if (how == "stale") return Answer::kStale;
  if (how == "coalesced") return Answer::kCoalesced;
  return Answer::kNone;
}

// What stands between two marks; "" when they are not there.
std::string_view Between(std::string_view text, std::string_view before, std::string_view after) {
  const size_t begin = text.find(before);
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin + before.size());
  return text.substr(0, text.find(after));
}

// Whether the body is of the brand and window that were asked for: a cache may mix up its keys.
bool IsOfQuestion(const Reply& reply) {
  return Between(reply.body, "\"brand\":\"", "\"") == Between(reply.request, "/v1/brands/", "/") &&
         Between(reply.body, "\"window\":\"", "\"") == Between(reply.request, "window=", " ");
}

// The limiter says how much is left; 429 without that is the service's own refusal of what it cannot take.
bool IsOfLimiter(std::string_view head) {
  for (const std::string_view name : {"ratelimit-limit", "x-ratelimit-limit", "ratelimit"}) {
    if (!Field(head, name).empty()) return true;
  }
  return false;
}

Reading Read(const Reply& reply) {
  if (reply.code == 429 && IsOfLimiter(reply.head)) return {Outcome::kOk, Answer::kLimited};
  if (reply.ask == Ask::kWrite) {
    // What a server that gave up began may still happen.
    if (reply.code >= 500) return {Outcome::kUnknown};
    if (reply.code == 202) return {Outcome::kOk, Answer::kQueued};  // acknowledged: of which version is not known yet
    const uint32_t version = reply.code == 200 ? VersionOf(reply.head) : 0;
    return version > 0 ? Reading{Outcome::kOk, Answer::kWritten, version} : Reading{Outcome::kFailed};
  }
  if (reply.ask == Ask::kMissing) {
    return reply.code == 404 ? Reading{Outcome::kOk, AnswerOf(reply.head)} : Reading{Outcome::kFailed};
  }
  if (reply.code != 200 || !IsOfQuestion(reply)) return {Outcome::kFailed};
  const Answer answer = AnswerOf(reply.head);
  const uint32_t version = VersionOf(reply.head);
  return answer != Answer::kNone && version > 0 ? Reading{Outcome::kOk, answer, version} : Reading{Outcome::kFailed};
}

template <Kind kKind>
Target MakeTarget(std::string name, std::string doc) {
  Target target;
  target.name = std::move(name);
  target.doc = std::move(doc);
  target.part = "cacheapi";
  target.port = "http";
  target.protocol = Protocol::kHttp;
  target.fields = FieldsOf(kKind);
  target.prepare = Prepare<kKind>;
  target.mix = MixtureOf<kKind>;
  target.read = Read;
  return target;
}

}  // namespace

Target CacheApiGetTarget() {
  return MakeTarget<Kind::kGet>("cacheapi.get",
                                "GET of a brand's insights over HTTP/1.1; key i is brand i of the seed");
}

Target CacheApiPutTarget() {
  return MakeTarget<Kind::kPut>("cacheapi.put",
                                "PUT of a brand's correction over HTTP/1.1, each with a key of its own");
}

Target CacheApiMixedTarget() {
  return MakeTarget<Kind::kMixed>("cacheapi.mixed", "reads and writes of the same brands by the same sessions");
}

}  // namespace lab::bench
