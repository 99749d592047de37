#include "services/runtime/rpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "services/runtime/rpc/call_state.h"

namespace lab::rpc {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

constexpr std::array<const char*, 2> kServices = {"grpc.reflection.v1alpha.ServerReflection",
                                                  "grpc.reflection.v1.ServerReflection"};
constexpr std::array<const char*, 2> kMethods = {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                                 "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"};
// Open at once, for each of the two names; further ones wait.
constexpr int kMaxStreams = 8;

void SetError(grpc::StatusCode code, std::string text, ServerReflectionResponse* response) {
  response->mutable_error_response()->set_error_code(code);
  response->mutable_error_response()->set_error_message(std::move(text));
}

// The file after all it imports.
void AddWithImports(const FileDescriptor* file, std::set<const FileDescriptor*>* seen,
                    ServerReflectionResponse* response) {
  if (!seen->insert(file).second) return;
  for (int i = 0; i < file->dependency_count(); ++i) AddWithImports(file->dependency(i), seen, response);
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  proto.SerializeToString(response->mutable_file_descriptor_response()->add_file_descriptor_proto());
}

void AnswerFile(const FileDescriptor* file, const std::string& asked, ServerReflectionResponse* response) {
  if (file == nullptr) return SetError(grpc::StatusCode::NOT_FOUND, absl::StrCat("not known: ", asked), response);
  std::set<const FileDescriptor*> seen;
  AddWithImports(file, &seen, response);
}

void AnswerExtension(const ServerReflectionRequest& request, ServerReflectionResponse* response) {
  const auto& asked = request.file_containing_extension();
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  const auto* type = pool->FindMessageTypeByName(asked.containing_type());
  const auto* extension = type == nullptr ? nullptr : pool->FindExtensionByNumber(type, asked.extension_number());
  AnswerFile(extension == nullptr ? nullptr : extension->file(),
             absl::StrCat(asked.containing_type(), " extension ", asked.extension_number()), response);
}

void AnswerExtensionNumbers(const std::string& type_name, ServerReflectionResponse* response) {
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  const auto* type = pool->FindMessageTypeByName(type_name);
  if (type == nullptr) return AnswerFile(nullptr, type_name, response);
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  pool->FindAllExtensions(type, &extensions);
  auto* answer = response->mutable_all_extension_numbers_response();
  answer->set_base_type_name(type_name);
  for (const auto* extension : extensions) answer->add_extension_number(extension->number());
}

ServerReflectionResponse AnswerTo(const ServerReflectionRequest& request, const std::vector<std::string>& services) {
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services) response.mutable_list_services_response()->add_service()->set_name(name);
      break;
    case ServerReflectionRequest::kFileByFilename:
      AnswerFile(pool->FindFileByName(request.file_by_filename()), request.file_by_filename(), &response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      AnswerFile(pool->FindFileContainingSymbol(request.file_containing_symbol()), request.file_containing_symbol(),
                 &response);
      break;
    case ServerReflectionRequest::kFileContainingExtension:
      AnswerExtension(request, &response);
      break;
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      AnswerExtensionNumbers(request.all_extension_numbers_of_type(), &response);
      break;
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      SetError(grpc::StatusCode::INVALID_ARGUMENT, "the request asks for nothing", &response);
  }
  return response;
}

}  // namespace

// One stream: read, answer, read again, until the client has done; one operation in the queue at a time.
struct Reflection::Stream final : Queue::Event {
  enum class Phase { kIdle, kWaiting, kReading, kWriting, kFinishing };

  Stream(Reflection* in, int of) : owner(in), method(of) {}

  bool Complete(bool ok) override {
    switch (phase) {
      case Phase::kIdle:
        break;
      case Phase::kWaiting:
        if (!ok) return Close();
        owner->Open(this);
        return Read();
      case Phase::kReading:
        return ok ? Write() : Finish(grpc::Status::OK);
      case Phase::kWriting:
        return ok ? Read() : Finish(grpc::Status::OK);
      case Phase::kFinishing:
        return Close();
    }
    return false;
  }

  bool Read() {
    phase = Phase::kReading;
    stream->Read(&request, static_cast<Queue::Event*>(this));
    return true;
  }

  bool Write() {
    ServerReflectionRequest asked;
    if (!Decode(request, &asked)) {
      return Finish({grpc::StatusCode::INVALID_ARGUMENT, "the request is not a ServerReflectionRequest"});
    }
    phase = Phase::kWriting;
    answer = Encode(AnswerTo(asked, owner->services_));
    stream->Write(answer, static_cast<Queue::Event*>(this));
    return true;
  }

  bool Finish(const grpc::Status& status) {
    phase = Phase::kFinishing;
    stream->Finish(status, static_cast<Queue::Event*>(this));
    return true;
  }

  bool Close() {
    phase = Phase::kIdle;
    stream.reset();
    context.reset();
    if (!owner->stopping_) owner->Request(method);
    return false;
  }

  Reflection* const owner;
  const int method;
  Phase phase = Phase::kIdle;
  std::optional<grpc::ServerContext> context;
  std::optional<grpc::ServerAsyncReaderWriter<Encoded, grpc::ByteBuffer>> stream;
  grpc::ByteBuffer request;
  Encoded answer;
};

Reflection::Reflection(Queue& queue) : queue_(queue) {
  for (int i = 0; i < static_cast<int>(kMethods.size()); ++i) {
    AddMethod(new grpc::internal::RpcServiceMethod(kMethods[i], grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
    MarkMethodRaw(i);
    AddService(kServices[i]);
  }
}

Reflection::~Reflection() = default;

void Reflection::AddService(std::string name) {
  if (std::find(services_.begin(), services_.end(), name) == services_.end()) services_.push_back(std::move(name));
}

void Reflection::Start() {
  for (int i = 0; i < static_cast<int>(kMethods.size()); ++i) Request(i);
}

void Reflection::Stop() {
  stopping_ = true;
  for (auto& stream : streams_) {
    using Phase = Stream::Phase;
    if (stream->phase != Phase::kIdle && stream->phase != Phase::kWaiting) stream->context->TryCancel();
  }
}

bool Reflection::idle() const {
  return std::all_of(streams_.begin(), streams_.end(),
                     [](const auto& stream) { return stream->phase == Stream::Phase::kIdle; });
}

// Waits for one more stream of that name, unless one waits already or too many are open.
void Reflection::Request(int method) {
  Stream* free = nullptr;
  int used = 0;
  for (auto& stream : streams_) {
    if (stream->method != method) continue;
    if (stream->phase == Stream::Phase::kWaiting) return;
    if (stream->phase == Stream::Phase::kIdle)
      free = stream.get();
    else
      ++used;
  }
  if (used == kMaxStreams) return;
  if (free == nullptr) {
    streams_.push_back(std::make_unique<Stream>(this, method));
    free = streams_.back().get();
  }
  free->phase = Stream::Phase::kWaiting;
  free->context.emplace();
  free->stream.emplace(&*free->context);
  RequestAsyncBidiStreaming(method, &*free->context, &*free->stream, queue_.cq(), queue_.cq(),
                            static_cast<Queue::Event*>(free));
}

void Reflection::Open(Stream* stream) {
  stream->phase = Stream::Phase::kReading;
  if (!stopping_) Request(stream->method);
}

}  // namespace lab::rpc
