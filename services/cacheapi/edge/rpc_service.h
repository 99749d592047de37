#pragma once

#include "services/cacheapi/edge/api.h"
#include "services/runtime/rpc/server.h"

namespace lab::cacheapi {

// lab.cacheapi.v1.InsightsService on the server: decode, ask the API, encode. Who asks stands in the metadata
// (x-tenant, x-actor); the fields of the rate limit go back as trailing metadata, in lower case.
class RpcService {
 public:
  // What it is given must outlive the server.
  explicit RpcService(Api& api) : api_(api) {}
  // Before server.Start. The server must end first.
  void Register(rpc::Server& server);

 private:
  void Get(rpc::Call call);
  void Put(rpc::Call call);
  void Delete(rpc::Call call);
  void Create(rpc::Call call);
  template <typename Response>
  void Write(rpc::Call call, Correction correction);

  Api& api_;
};

}  // namespace lab::cacheapi
