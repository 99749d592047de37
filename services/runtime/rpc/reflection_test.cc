#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/support/sync_stream.h>

#include <set>

#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "services/runtime/rpc/test_support.h"

namespace lab::rpc {
namespace {

using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;
using testing::EchoServer;
using testing::PlainClient;

using Stream = grpc::ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>;

std::unique_ptr<Stream> Open(PlainClient& client, const char* version, grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + testing::kPatience);
  const std::string name = std::string("/grpc.reflection.") + version + ".ServerReflection/ServerReflectionInfo";
  const grpc::internal::RpcMethod method(name.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING);
  return std::unique_ptr<Stream>(
      grpc::internal::ClientReaderWriterFactory<ServerReflectionRequest, ServerReflectionResponse>::Create(
          client.channel.get(), method, context));
}

ServerReflectionResponse Ask(Stream& stream, const ServerReflectionRequest& request) {
  ServerReflectionResponse response;
  EXPECT_TRUE(stream.Write(request));
  EXPECT_TRUE(stream.Read(&response));
  return response;
}

class ReflectionTest : public ::testing::TestWithParam<const char*> {
 protected:
  ReflectionTest() : client_(echo_.target()), stream_(Open(client_, GetParam(), &context_)) {}

  EchoServer echo_;
  PlainClient client_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  ServerReflectionRequest request_;
};

INSTANTIATE_TEST_SUITE_P(Version, ReflectionTest, ::testing::Values("v1alpha", "v1"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(ReflectionTest, ListsServices) {
  request_.set_list_services("");
  std::set<std::string> names;
  const auto response = Ask(*stream_, request_);
  for (const auto& service : response.list_services_response().service()) names.insert(service.name());
  EXPECT_EQ(names,
            (std::set<std::string>{"lab.test.Echo", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection",
                                   "grpc.reflection.v1.ServerReflection"}));
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_P(ReflectionTest, GivesTheFileOfASymbol) {
  request_.set_file_containing_symbol("grpc.health.v1.Health");
  const auto response = Ask(*stream_, request_);
  ASSERT_EQ(response.file_descriptor_response().file_descriptor_proto_size(), 1);
  google::protobuf::FileDescriptorProto file;
  ASSERT_TRUE(file.ParseFromString(response.file_descriptor_response().file_descriptor_proto(0)));
  EXPECT_EQ(file.name(), "grpc/health/v1/health.proto");
}

TEST_P(ReflectionTest, AnswersSeveralQuestionsInOneStream) {
  request_.set_file_by_filename("google/protobuf/wrappers.proto");
  EXPECT_TRUE(Ask(*stream_, request_).has_file_descriptor_response());
  request_.set_file_by_filename("no/such.proto");
  EXPECT_EQ(Ask(*stream_, request_).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  request_.set_all_extension_numbers_of_type("google.protobuf.FieldOptions");
  EXPECT_TRUE(Ask(*stream_, request_).has_all_extension_numbers_response());
  request_.clear_message_request();
  EXPECT_EQ(Ask(*stream_, request_).error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_P(ReflectionTest, AnOpenStreamDoesNotHoldUpADrain) {
  request_.set_list_services("");
  Ask(*stream_, request_);
  EXPECT_TRUE(echo_.Drain(std::chrono::hours(1)));
  EXPECT_FALSE(stream_->Finish().ok());
}

TEST(ReflectionTest, ServesStreamsUpToItsBoundAtOnceAndTheRestAfter) {
  EchoServer echo;
  PlainClient client(echo.target());
  std::array<grpc::ClientContext, 20> contexts;
  std::vector<std::unique_ptr<Stream>> streams;
  for (auto& context : contexts) streams.push_back(Open(client, "v1", &context));
  ServerReflectionRequest request;
  request.set_list_services("");
  for (auto& stream : streams) {
    Ask(*stream, request);
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
}

}  // namespace
}  // namespace lab::rpc
