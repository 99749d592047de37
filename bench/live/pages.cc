#include "bench/live/pages.h"

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "bench/live/commands.h"
#include "bench/ui/page.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

constexpr size_t kBatchBytes = 32 << 10;  // of events that a client is given at once
constexpr size_t kCommandsWaiting = 8;
constexpr Millis kFarewell{500};  // for clients to take what was published before the end

// From the operating system: not to be guessed by another page.
std::string RandomHex(int words) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::random_device device;
  std::string text;
  for (int i = 0; i < words; ++i) {
    for (uint32_t word = device(), digit = 0; digit < 8; ++digit, word >>= 4) text += kDigits[word & 15];
  }
  return text;
}

// In a time that does not tell how much of it was right.
bool SameSecret(std::string_view given, std::string_view secret) {
  if (given.size() != secret.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < secret.size(); ++i) difference |= static_cast<unsigned char>(given[i] ^ secret[i]);
  return difference == 0;
}

// Of this server, as browsers write it.
bool IsOwnHost(std::string_view host, int port) {
  return host == Concat("127.0.0.1:", port) || host == Concat("localhost:", port);
}

void AddSafeHeaders(http::Response& response) {
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  response.headers.emplace_back("X-Frame-Options", "DENY");
}

// "" or what is wrong with where the request comes from.
std::string ForeignTo(const http::Request& request, int port) {
  const std::string_view host = request.Header("host");
  if (!IsOwnHost(host, port)) return Concat("the Host must be 127.0.0.1:", port, " or localhost:", port);
  const std::string_view origin = request.Header("origin");
  if (!origin.empty() && origin != Concat("http://", host)) return "the request comes from another page";
  const std::string_view site = request.Header("sec-fetch-site");
  if (request.method == "POST" && !site.empty() && site != "same-origin" && site != "none") {
    return "the request comes from another site";
  }
  return "";
}

std::string Frame(const std::string& epoch, const Event& event) {
  return Concat("id: ", epoch, "-", event.id, "\nevent: ", event.type, "\ndata: ", event.json, "\n\n");
}

}  // namespace

Pages::Pages(Hub& hub, Control* control, Server::Options options)
    : hub_(hub),
      control_(control),
      options_(std::move(options)),
      token_(RandomHex(4)),
      epoch_(RandomHex(1)),
      heartbeat_(loop_.io()),
      http_(loop_, {.port = options_.port,
                    .max_connections = options_.max_clients + 32,
                    .max_stream_bytes = 2 * Hub::Options().max_bytes,
                    .idle_timeout = options_.stalled_after}),
      worker_(kCommandsWaiting) {}

absl::Status Pages::Start() {
  http_.Handle("GET", "/", Guarded([this](const http::Request&, http::Server::Respond respond) {
                 ui::PageContent content;
                 content.data = Concat("{\"token\":\"", token_, "\"}");
                 http::Response response{200, "text/html; charset=utf-8", ui::MakePage(content), {}};
                 response.headers.emplace_back("Content-Security-Policy", ui::ContentSecurityPolicy());
                 respond(std::move(response));
               }));
  http_.Handle("GET", "/api/state", Guarded([this](const http::Request&, http::Server::Respond respond) {
                 respond({200, "application/json", hub_.State(), {}});
               }));
  http_.Handle("GET", "/events", Guarded([this](const http::Request& request, http::Server::Respond respond) {
                 AddClient(request, std::move(respond));
               }));
  const auto command = [this](absl::StatusOr<std::string> (*run)(Control&, const std::string&)) {
    return Guarded(Commanded([this, run](const std::string& body) { return run(*control_, body); }));
  };
  http_.Handle("POST", "/api/break", command(&BreakCommand));
  http_.Handle("POST", "/api/heal", command(&HealCommand));
  http_.Handle("POST", "/api/load", command(&LoadCommand));
  http_.Handle("POST", "/api/down", command(&DownCommand));
  const absl::Status started = http_.Start();
  if (!started.ok()) return started;
  hub_.SetListener([this] {
    if (!woken_.exchange(true)) loop_.Post([this] { WriteToAll(); });
  });
  AwaitHeartbeat();
  return absl::OkStatus();
}

void Pages::Stop() {
  hub_.SetListener(nullptr);
  loop_.Post([this, last = hub_.last_event()] {
    WriteToAll();
    StopWhenTold(last, Clock::now() + kFarewell);
  });
}

// The last that was said, a verdict, is what everybody waited for.
void Pages::StopWhenTold(uint64_t last, Clock::time_point deadline) {
  const bool all_told = std::all_of(clients_.begin(), clients_.end(), [last](const Client& client) {
    return client.seen >= last && client.stream->unsent() == 0;
  });
  if (all_told || Clock::now() >= deadline) {
    loop_.Stop();
    return;
  }
  heartbeat_.expires_after(Millis(5));
  heartbeat_.async_wait([this, last, deadline](const boost::system::error_code&) { StopWhenTold(last, deadline); });
}

http::Server::Handler Pages::Guarded(http::Server::Handler handler) const {
  return [this, handler = std::move(handler)](const http::Request& request, http::Server::Respond respond) {
    http::Server::Respond safe = [respond = std::move(respond)](http::Response response) mutable {
      AddSafeHeaders(response);
      respond(std::move(response));
    };
    if (const std::string foreign = ForeignTo(request, port()); !foreign.empty()) {
      safe(http::Problem(403, "forbidden", foreign));
    } else {
      handler(request, std::move(safe));
    }
  };
}

http::Server::Handler Pages::Commanded(std::function<absl::StatusOr<std::string>(const std::string& body)> command) {
  return [this, command = std::move(command)](const http::Request& request, http::Server::Respond respond) {
    if (!SameSecret(request.Header("x-lab-token"), token_)) {
      return respond(http::Problem(403, "forbidden", "the token is not that of this server: load the page again"));
    }
    // A form of another page cannot send it without asking first.
    if (!absl::StartsWith(View(request.Header("content-type")), "application/json")) {
      return respond(http::Problem(415, "unsupported media type", "the body must be application/json"));
    }
    if (control_ == nullptr) return respond(http::Problem(409, "judged", kJudged));
    auto answer = std::make_shared<http::Server::Respond>(std::move(respond));  // it must end on the loop's thread
    const bool taken = worker_.Do([this, command, body = request.body, answer]() mutable {
      auto result = command(body);
      loop_.Post([result = std::move(result), answer = std::move(answer)] {
        (*answer)(result.ok() ? http::Response{200, "application/json", *result, {}}
                              : http::FromStatus(result.status()));
      });
    });
    if (!taken) (*answer)(http::Problem(503, "busy", "too many commands are waiting"));
  };
}

// The event that the client has seen last. Of another server, or what is no id of ours: a gap.
uint64_t Pages::SeenBy(const http::Request& request, bool& gap) const {
  const std::string_view id = request.Header("last-event-id");
  gap = false;
  if (id.empty()) return 0;
  uint64_t seen = 0;
  const std::string prefix = epoch_ + "-";
  const bool ours = id.substr(0, prefix.size()) == prefix;
  const std::string_view digits = ours ? id.substr(prefix.size()) : "";
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seen);
  gap = !ours || digits.empty() || error != std::errc() || end != digits.data() + digits.size();
  return gap ? 0 : seen;
}

void Pages::AddClient(const http::Request& request, http::Server::Respond respond) {
  if (clients_.size() >= static_cast<size_t>(options_.max_clients)) {
    return respond(http::Problem(503, "too many clients",
                                 Concat("at most ", options_.max_clients, " may follow the events; close a page")));
  }
  bool gap = false;
  const uint64_t seen = SeenBy(request, gap);
  http::Response response{200, "text/event-stream; charset=utf-8", gap ? "event: reset\ndata: {}\n\n" : "", {}};
  response.body = "retry: 1000\n\n" + response.body;
  response.stream = [this, seen](std::shared_ptr<http::Stream> stream) {
    const auto client = clients_.insert(clients_.end(), Client{std::move(stream), seen});
    client->stream->OnEnd([this, client] { clients_.erase(client); });
    client->stream->OnSent([this, client] { WriteTo(*client); });
  };
  respond(std::move(response));
}

// One batch at a time: what a client is given next is read from the hub when it has taken the last one, so a slow one
// costs a batch of memory, not a queue; it is told "reset" when it falls behind the hub's ring.
void Pages::WriteTo(Client& client) {
  const std::shared_ptr<http::Stream> stream = client.stream;  // the write may end the client
  if (stream->unsent() > 0) return;
  const Hub::Batch batch = hub_.After(client.seen, kBatchBytes);
  if (batch.events.empty()) return;
  std::string text = batch.gap ? "event: reset\ndata: {}\n\n" : "";
  for (const Event& event : batch.events) text += Frame(epoch_, event);
  client.seen = batch.events.back().id;
  stream->Write(std::move(text));
}

void Pages::WriteToAll() {
  woken_ = false;
  for (auto client = clients_.begin(); client != clients_.end();) WriteTo(*client++);
}

void Pages::AwaitHeartbeat() {
  heartbeat_.expires_after(options_.heartbeat);
  heartbeat_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    for (auto client = clients_.begin(); client != clients_.end();) {
      const std::shared_ptr<http::Stream> stream = (client++)->stream;
      if (stream->unsent() == 0) stream->Write(": still here\n\n");
    }
    AwaitHeartbeat();
  });
}

}  // namespace lab::bench::live
