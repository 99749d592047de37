#include "services/runtime/rpc/trace_metadata.h"

namespace lab::rpc {
namespace {

// ServerContext::client_metadata() builds a multimap of every header, which costs more than the rest of a call's
// bookkeeping. The array under it is private; the argument of an explicit instantiation may name it all the same
// ([temp.explicit]), and does not compile any more should gRPC rename it.
using Metadata = grpc::internal::MetadataMap;
Metadata grpc::ServerContextBase::*MetadataMember();
template <Metadata grpc::ServerContextBase::*Member>
struct Access {
  friend Metadata grpc::ServerContextBase::*MetadataMember() { return Member; }
};
template struct Access<&grpc::ServerContextBase::client_metadata_>;

std::string_view View(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

}  // namespace

std::string_view MetadataOf(const grpc::ServerContext& context, std::string_view name) {
  const grpc::ServerContextBase& base = context;
  Metadata& metadata = const_cast<Metadata&>(base.*MetadataMember());
  const grpc_metadata_array& array = *metadata.arr();
  for (size_t i = 0; i < array.count; ++i) {
    if (View(array.metadata[i].key) == name) return View(array.metadata[i].value);
  }
  return {};
}

obs::TraceContext TraceparentOf(const grpc::ServerContext& context) {
  return obs::ParseTraceparent(MetadataOf(context, kTraceparent));
}

}  // namespace lab::rpc
