#include "services/runtime/pg/client.h"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"
#include "services/runtime/pg/client_impl.h"

namespace lab::pg {
namespace {

absl::Status Check(absl::Span<const Step> steps) {
  if (steps.empty() || steps.size() > Client::kMaxSteps) {
    return absl::InvalidArgumentError(Concat("an operation has 1 to ", Client::kMaxSteps, " statements"));
  }
  for (const Step& step : steps) {
    for (size_t i = 0; i < step.params.size(); ++i) {
      if (step.params[i].text().find('\0') == std::string_view::npos) continue;
      return absl::InvalidArgumentError(
          Concat(step.statement.name(), ": parameter ", i + 1, " has a zero byte, which PostgreSQL's text has not"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void Param::Take(int64_t number) {
  const auto end = std::to_chars(digits_.data(), digits_.data() + digits_.size(), number);
  length_ = static_cast<uint8_t>(end.ptr - digits_.data());
}

Param Param::Null() {
  Param param{std::string_view()};
  param.null_ = true;
  return param;
}

int Result::rows() const { return PQntuples(result_); }
int Result::columns() const { return PQnfields(result_); }
bool Result::is_null(int row, int column) const { return PQgetisnull(result_, row, column) != 0; }
std::string_view Result::text(int row, int column) const {
  return {PQgetvalue(result_, row, column), static_cast<size_t>(PQgetlength(result_, row, column))};
}
int64_t Result::integer(int row, int column) const {
  int64_t value = 0;
  const std::string_view digits = text(row, column);
  return absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &value) ? value : 0;
}
std::string_view Result::tag() const { return PQcmdStatus(const_cast<PGresult*>(result_)); }
int64_t Result::affected() const {
  int64_t value = 0;
  return absl::SimpleAtoi(PQcmdTuples(const_cast<PGresult*>(result_)), &value) ? value : 0;
}

Client::Client(async::Loop& loop, Options options, obs::Metrics& metrics, failpoint::Controller* failpoints)
    : impl_(std::make_shared<Impl>(loop, std::move(options), metrics, failpoints)) {
  impl_->Start();
}

Client::~Client() { Close(); }

void Client::Execute(const Statement& statement, absl::Span<const Param> params, Callback callback,
                     std::string_view order) {
  const Step step{statement, params};
  Transact(absl::MakeConstSpan(&step, 1), std::move(callback), order);
}

void Client::Transact(absl::Span<const Step> steps, Callback callback, std::string_view order) {
  if (absl::Status wrong = Check(steps); !wrong.ok()) return impl_->Fail(std::move(callback), wrong);
  Steps stored;
  for (const Step& step : steps) stored.emplace_back(step.statement, step.params);
  impl_->Issue(std::move(stored), std::move(callback), order);
}

void Client::Begin(absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Transaction>>)> callback) {
  impl_->Begin(std::move(callback));
}

bool Client::connected() const { return impl_->connected(); }
absl::Status Client::refusal() const { return impl_->refused_us; }

void Client::WhenReady(absl::AnyInvocable<void(absl::Status)> callback) {
  impl_->when_ready.push_back(std::move(callback));
  if (impl_->closed) return impl_->SettleReady(impl_->closing);
  if (connected() || !impl_->refused_us.ok()) impl_->SettleReady(impl_->refused_us);
}

async::Breaker::State Client::breaker_state() const { return impl_->breaker.state(); }

void Client::Close() { impl_->Close(); }

bool OutcomeUnknown(const absl::Status& status) { return absl::IsDeadlineExceeded(status) || absl::IsAborted(status); }

}  // namespace lab::pg
