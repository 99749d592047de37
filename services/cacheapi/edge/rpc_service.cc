#include "services/cacheapi/edge/rpc_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "lab/cacheapi/v1/insights.pb.h"
#include "services/cacheapi/model/version.h"

namespace lab::cacheapi {
namespace {

constexpr char kGet[] = "/lab.cacheapi.v1.InsightsService/GetInsights";
constexpr char kPut[] = "/lab.cacheapi.v1.InsightsService/PutCorrection";
constexpr char kDelete[] = "/lab.cacheapi.v1.InsightsService/DeleteCorrection";
constexpr char kCreate[] = "/lab.cacheapi.v1.InsightsService/CreateBrand";

Caller CallerOf(const rpc::Call& call) {
  return {call.Metadata("x-tenant"), call.Metadata("x-actor"), call.deadline(), call.trace()};
}

void AddLimit(const LimiterClient::Fields& fields, rpc::Call& call) {
  for (const auto& [name, value] : fields) call.AddTrailer(absl::AsciiStrToLower(name), value);
}

void SetDuration(Nanos from, google::protobuf::Duration* to) {
  const int64_t nanos = std::max<int64_t>(0, from.count());
  to->set_seconds(nanos / 1'000'000'000);
  to->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
}

v1::Via ViaOf(Via via) {
  switch (via) {
    case Via::kLocal:
      return v1::VIA_L1;
    case Via::kShared:
      return v1::VIA_L2;
    case Via::kStale:
      return v1::VIA_STALE;
    case Via::kOrigin:
      return v1::VIA_ORIGIN;
    case Via::kCoalesced:
      return v1::VIA_COALESCED;
    case Via::kBloom:  // only says that there is none, which is a status here
    case Via::kError:
      return v1::VIA_UNSPECIFIED;
  }
  return v1::VIA_UNSPECIFIED;
}

int64_t Whole(const nlohmann::json& body, const char* name) {
  const auto found = body.find(name);
  return found != body.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

std::string Text(const nlohmann::json& body, const char* name) {
  const auto found = body.find(name);
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

// The body as the caches have it, which is that of HTTP. False when it is none.
bool ReadInsight(const std::string& bytes, v1::Insight* insight) {
  const nlohmann::json body = nlohmann::json::parse(bytes, nullptr, false);
  if (!body.is_object()) return false;
  insight->set_brand(Text(body, "brand"));
  insight->set_window(Text(body, "window"));
  insight->set_posts(Whole(body, "posts"));
  insight->set_correction(Whole(body, "correction"));
  insight->set_authors(Whole(body, "authors"));
  const auto sentiment = body.find("sentiment");
  if (sentiment != body.end() && sentiment->is_number()) insight->set_sentiment(sentiment->get<double>());
  insight->set_likes_median(Whole(body, "likes_median"));
  insight->set_likes_p99(Whole(body, "likes_p99"));
  insight->set_arabic(Whole(body, "arabic"));
  return true;
}

void Answered(const Api::Read& read, rpc::Call call) {
  AddLimit(read.limit, call);
  if (!read.status.ok()) return call.Fail(read.status);
  const Value& value = read.answer.value;
  if (value.negative) return call.Fail(absl::NotFoundError("there is no brand of this id"));
  v1::GetInsightsResponse response;
  if (!ReadInsight(value.body, response.mutable_insight())) {
    return call.Fail(absl::InternalError("what is cached is no insight"));
  }
  const CacheFacts& facts = read.facts;
  response.set_version(value.version);
  response.set_via(ViaOf(read.answer.via));
  SetDuration(facts.age, response.mutable_age());
  response.set_freshness(facts.fresh_for > Nanos(0) ? v1::FRESHNESS_FRESH : v1::FRESHNESS_STALE);
  SetDuration(facts.fresh_for, response.mutable_fresh_for());
  SetDuration(facts.stale_for, response.mutable_stale_for());
  response.set_entity_tag(EntityTag(value, read.window));
  call.Reply(response);
}

}  // namespace

void RpcService::Register(rpc::Server& server) {
  server.Register(kGet, "cacheapi.get_insights", [this](rpc::Call call) { Get(call); });
  server.Register(kPut, "cacheapi.put_correction", [this](rpc::Call call) { Put(call); });
  server.Register(kDelete, "cacheapi.delete_correction", [this](rpc::Call call) { Delete(call); });
  server.Register(kCreate, "cacheapi.create_brand", [this](rpc::Call call) { Create(call); });
}

void RpcService::Get(rpc::Call call) {
  v1::GetInsightsRequest request;
  if (!call.Parse(&request)) return;
  const std::string_view window = request.window().empty() ? Name(kDefaultWindow) : request.window();
  api_.Get(CallerOf(call), request.brand(), window, [call](const Api::Read& read) { Answered(read, call); });
}

template <typename Response>
void RpcService::Write(rpc::Call call, Correction correction) {
  std::string brand = correction.brand;
  api_.Write(CallerOf(call), std::move(correction), [call, brand = std::move(brand)](const Api::Written& written) {
    rpc::Call answered = call;
    AddLimit(written.limit, answered);
    if (!written.status.ok()) return answered.Fail(written.status);
    Response response;
    response.set_brand(brand);
    response.set_version(written.version);
    response.set_queued(written.queued);
    answered.Reply(response);
  });
}

void RpcService::Put(rpc::Call call) {
  v1::PutCorrectionRequest request;
  if (!call.Parse(&request)) return;
  Correction correction;
  correction.brand = request.brand();
  correction.posts = request.posts();
  correction.note = request.note();
  correction.request_id = request.request_id();
  Write<v1::PutCorrectionResponse>(call, std::move(correction));
}

void RpcService::Delete(rpc::Call call) {
  v1::DeleteCorrectionRequest request;
  if (!call.Parse(&request)) return;
  Correction correction;
  correction.brand = request.brand();
  correction.request_id = request.request_id();
  correction.remove = true;
  Write<v1::DeleteCorrectionResponse>(call, std::move(correction));
}

void RpcService::Create(rpc::Call call) {
  v1::CreateBrandRequest request;
  if (!call.Parse(&request)) return;
  api_.Create(CallerOf(call), {request.id(), request.name()},
              [call, brand = request.id()](const Api::Created& created) mutable {
                AddLimit(created.limit, call);
                if (!created.status.ok()) return call.Fail(created.status);
                v1::CreateBrandResponse response;
                response.set_brand(brand);
                response.set_version(created.version);
                response.set_created(created.created);
                call.Reply(response);
              });
}

}  // namespace lab::cacheapi
