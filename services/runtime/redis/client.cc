#include "services/runtime/redis/client.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <utility>

#include "services/runtime/redis/client_impl.h"
#include "services/runtime/redis/protocol.h"
#include "services/runtime/redis/sha1.h"

namespace lab::redis {

Client::Client(async::Loop& loop, Options options, obs::Metrics& metrics, failpoint::Controller* failpoints)
    : impl_(std::make_shared<Impl>(loop, std::move(options), metrics, failpoints)) {
  impl_->Start();
}

Client::~Client() { Close(); }

void Client::Command(absl::Span<const std::string_view> args, Callback callback) {
  Connection* connection = impl_->Admit(callback);
  if (connection == nullptr) return;
  std::string& command = impl_->scratch;
  command.clear();
  AppendHead(command, args.size());
  for (const std::string_view argument : args) AppendArgument(command, argument);
  impl_->Send(impl_->NewOperation(connection, std::move(callback)), command, args.empty() ? "" : args[0]);
}

void Client::Eval(const Script& script, absl::Span<const std::string_view> keys,
                  absl::Span<const std::string_view> args, Callback callback) {
  Connection* connection = impl_->Admit(callback);
  if (connection == nullptr) return;
  Operation* operation = impl_->NewOperation(connection, std::move(callback));
  operation->script = &script;
  std::string& command = operation->command;
  command.clear();
  AppendHead(command, 3 + keys.size() + args.size());
  AppendArgument(command, "EVALSHA");
  AppendArgument(command, script.sha());
  AppendArgument(command, std::to_string(keys.size()));
  for (const std::string_view key : keys) AppendArgument(command, key);
  for (const std::string_view argument : args) AppendArgument(command, argument);
  impl_->Send(operation, command, script.name());
}

bool Client::connected() const {
  const auto& all = impl_->connections;
  return std::any_of(all.begin(), all.end(), [](const auto& connection) { return connection->ready(); });
}

absl::Status Client::refusal() const { return impl_->refusal; }

void Client::WhenReady(absl::AnyInvocable<void(absl::Status)> callback) {
  impl_->when_ready.push_back(std::move(callback));
  if (impl_->closed) return impl_->SettleReady(impl_->closing);
  if (connected() || !impl_->refusal.ok()) impl_->SettleReady(impl_->refusal);
}

void Client::OnConnection(std::function<void(bool)> hook) { impl_->on_connection.push_back(std::move(hook)); }

async::Breaker::State Client::breaker_state() const { return impl_->breaker.state(); }

void Client::Close() { impl_->Close(); }

Script::Script(std::string text, std::string name)
    : text_(std::move(text)), name_(std::move(name)), sha_(Sha1Hex(text_)) {}

bool Reply::is_nil() const { return reply_->type == REDIS_REPLY_NIL; }
int64_t Reply::integer() const { return reply_->type == REDIS_REPLY_INTEGER ? reply_->integer : 0; }
std::string_view Reply::text() const {
  return reply_->type == REDIS_REPLY_STRING || reply_->type == REDIS_REPLY_STATUS ? TextOf(reply_) : std::string_view();
}
size_t Reply::size() const { return reply_->type == REDIS_REPLY_ARRAY ? reply_->elements : 0; }
Reply Reply::operator[](size_t index) const { return Reply(reply_->element[index]); }

bool OutcomeUnknown(const absl::Status& status) { return absl::IsDeadlineExceeded(status) || absl::IsAborted(status); }

}  // namespace lab::redis
