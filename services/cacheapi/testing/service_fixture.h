#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lab/cacheapi/v1/insights.pb.h"
#include "services/cacheapi/testing/http_testing.h"
#include "services/cacheapi/testing/service_testing.h"

// The whole service, asked over gRPC and HTTP.
namespace lab::cacheapi {

inline constexpr char kGet[] = "/lab.cacheapi.v1.InsightsService/GetInsights";
inline constexpr char kPut[] = "/lab.cacheapi.v1.InsightsService/PutCorrection";
inline constexpr char kDelete[] = "/lab.cacheapi.v1.InsightsService/DeleteCorrection";
inline constexpr char kCreate[] = "/lab.cacheapi.v1.InsightsService/CreateBrand";

class ServiceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (pg::TestServer::WhyNone().empty()) stores_ = std::make_unique<Stores>();
  }
  static void TearDownTestSuite() { stores_.reset(); }
  void SetUp() override {
    if (stores_ == nullptr) GTEST_SKIP() << pg::TestServer::WhyNone();
    stores_->Reset();
  }
  void Start(const Options& options) {
    service_.emplace(options);
    ASSERT_TRUE(service_->started.ok()) << service_->started;
    ASSERT_TRUE(rpc::testing::WaitUntil([&] { return service_->Ready(); }));
  }
  grpc::Status Get(const std::string& brand, const std::string& window, v1::GetInsightsResponse* response,
                   grpc::ClientContext* context = nullptr) {
    v1::GetInsightsRequest request;
    request.set_brand(brand);
    request.set_window(window);
    return service_->client().Call(kGet, request, response, context);
  }
  grpc::Status Put(const std::string& brand, int64_t posts, v1::PutCorrectionResponse* response,
                   const std::string& request_id = "", const std::string& note = "") {
    v1::PutCorrectionRequest request;
    request.set_brand(brand);
    request.set_posts(posts);
    request.set_note(note);
    request.set_request_id(request_id);
    return service_->client().Call(kPut, request, response);
  }

  static inline std::unique_ptr<Stores> stores_;
  std::optional<ServiceUnderTest> service_;
};

}  // namespace lab::cacheapi
