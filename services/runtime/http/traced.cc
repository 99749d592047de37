#include "services/runtime/http/traced.h"

#include <utility>

namespace lab::http {

Server::Handler Traced(obs::Tracer& tracer, std::string_view name, Server::Handler handler) {
  return [&tracer, name, handler = std::move(handler)](const Request& request, Server::Respond respond) {
    obs::SpanRecord span;
    span.context = tracer.StartSpan(request.trace);
    if (!span.context.sampled) return handler(request, std::move(respond));
    if (request.trace.valid()) span.parent_span_id = request.trace.span_id;
    span.name = name;
    span.kind = obs::SpanKind::kServer;
    span.start_unix_ns = obs::UnixNanos();
    Request traced = request;
    traced.trace = span.context;
    handler(traced, [&tracer, span, respond = std::move(respond)](Response response) mutable {
      span.end_unix_ns = obs::UnixNanos();
      span.error = response.status >= 500;
      tracer.Finish(span);
      respond(std::move(response));
    });
  };
}

}  // namespace lab::http
