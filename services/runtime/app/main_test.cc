// Main as a process: a child runs a service made for the test, and is sent signals.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/app/app.h"
#include "services/runtime/app/command_line.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct ExampleOptions {
  std::string start = "ok";
  std::string stop = "ok";
  bool ready = true;
  int small = 1, large = 2;
};

class ExampleService : public Service {
 public:
  ExampleService(const ExampleOptions& options, Environment& environment)
      : options_(options), environment_(environment) {}
  absl::Status Start() override {
    if (options_.start == "fail") return absl::UnavailableError("no Redis at 127.0.0.1:1");
    if (options_.start == "throw") throw std::runtime_error("thrown at start");
    environment_.http.Handle("GET", "/hang", [this](const http::Request&, http::Server::Respond respond) {
      std::this_thread::sleep_for(std::chrono::hours(1));
      respond({});
    });
    environment_.http.Handle("GET", "/span", [this](const http::Request& request, http::Server::Respond respond) {
      obs::SpanRecord span;
      span.context = environment_.tracer.StartSpan(request.trace);
      span.name = "example.span";
      environment_.tracer.Finish(span);
      respond({});
    });
    return absl::OkStatus();
  }
  void Stop(Clock::time_point, std::function<void()> done) override {
    if (options_.stop == "never") return;
    if (options_.stop == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
    done();
  }
  bool Ready() const override { return options_.ready; }
  std::vector<std::pair<std::string, int>> Ports() const override { return {{"grpc_port", 4711}}; }

 private:
  const ExampleOptions& options_;
  Environment& environment_;
};

int RunExample(std::vector<std::string> arguments) {
  ExampleOptions options;
  Definition definition;
  definition.name = "example";
  definition.summary = "A service for tests.";
  definition.http_port = 0;
  definition.declare = [&options](Schema& schema) {
    schema.String("example.start", &options.start, "ok, fail, throw");
    schema.String("example.stop", &options.stop, "ok, never, hang");
    schema.Bool("example.ready", &options.ready, "Whether it is ready");
    schema.Int("example.small", &options.small, 0, 9, "Less than large");
    schema.Int("example.large", &options.large, 0, 9, "More than small");
  };
  definition.check = [&options] {
    if (options.small < options.large) return absl::OkStatus();
    return absl::InvalidArgumentError("example.small must be less than example.large");
  };
  definition.make = [&options](Environment& environment) {
    return std::make_unique<ExampleService>(options, environment);
  };
  arguments.insert(arguments.begin(), "example");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return Main(static_cast<int>(argv.size()), argv.data(), definition);
}

// One child with its standard output and error.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(out[1], STDOUT_FILENO);
      dup2(out[1], STDERR_FILENO);
      const int status = RunExample(std::move(arguments));
      std::fflush(nullptr);
      _exit(status);
    }
    close(out[1]);
    output_ = out[0];
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(output_);
  }

  void Send(int signal) { kill(pid_, signal); }

  // Reads until `text` was printed or the child is gone.
  bool WaitFor(std::string_view text) {
    while (printed_.find(text) == std::string::npos) {
      if (!ReadMore()) return false;
    }
    return true;
  }

  // The exit status; -1 for a signal.
  int Wait() {
    while (ReadMore()) {
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  int HttpPort() {
    if (!WaitFor("service_ready") || !WaitFor("grpc_port\":4711}\n")) return 0;
    std::istringstream lines(printed_);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("service_ready") != std::string::npos) return json::parse(line)["http_port"];
    }
    return 0;
  }

  const std::string& printed() const { return printed_; }

 private:
  bool ReadMore() {
    pollfd waiting{output_, POLLIN, 0};
    if (poll(&waiting, 1, 20'000) != 1) return false;
    char buffer[4096];
    const ssize_t got = read(output_, buffer, sizeof(buffer));
    if (got <= 0) return false;
    printed_.append(buffer, static_cast<size_t>(got));
    return true;
  }

  pid_t pid_ = -1;
  int output_ = -1;
  std::string printed_;
};

// The whole answer to a GET.
std::string Get(int port, std::string_view path) {
  namespace asio = boost::asio;
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  boost::system::error_code error;
  socket.connect({asio::ip::address_v4::loopback(), static_cast<uint16_t>(port)}, error);
  const std::string request = Concat("GET ", path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  asio::write(socket, asio::buffer(request), error);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

TEST(MainTest, ServesAdminPagesAndStopsInOrder) {
  Child child({"--set", "log.level=warn", "--set", "trace.sample_ratio=1"});
  const int port = child.HttpPort();
  ASSERT_GT(port, 0) << child.printed();
  EXPECT_THAT(Get(port, "/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(Get(port, "/readyz"), HasSubstr("200 OK"));
  const std::string metrics = Get(port, "/metrics");
  EXPECT_THAT(metrics, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics, HasSubstr("process_cpu_seconds_total"));
  EXPECT_THAT(metrics, HasSubstr("http_requests_total{code=\"2xx\"} 2"));
  child.Send(SIGTERM);
  EXPECT_EQ(child.Wait(), 0) << child.printed();
}

TEST(MainTest, SigintStopsToo) {
  Child child({});
  ASSERT_GT(child.HttpPort(), 0);
  child.Send(SIGINT);
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_THAT(child.printed(), HasSubstr("service_stopped"));
}

TEST(MainTest, NotReadyIs503) {
  Child child({"--set=example.ready=false"});
  const int port = child.HttpPort();
  EXPECT_THAT(Get(port, "/readyz"), HasSubstr("503"));
  EXPECT_THAT(Get(port, "/healthz"), HasSubstr("200"));
}

TEST(MainTest, AStopThatNeverEndsIsCutShort) {
  Child child({"--set", "example.stop=never", "--set", "stop.deadline=50ms"});
  ASSERT_GT(child.HttpPort(), 0);
  child.Send(SIGTERM);
  EXPECT_EQ(child.Wait(), 70);
}

TEST(MainTest, AHangingStopIsCutShortToo) {
  Child child({"--set", "example.stop=hang", "--set", "stop.deadline=50ms"});
  ASSERT_GT(child.HttpPort(), 0);
  child.Send(SIGTERM);
  EXPECT_EQ(child.Wait(), 70);
}

TEST(MainTest, ASecondSignalEndsItAtOnce) {
  Child child({"--set", "example.stop=hang", "--set", "stop.deadline=1h"});
  ASSERT_GT(child.HttpPort(), 0);
  child.Send(SIGTERM);
  ASSERT_TRUE(child.WaitFor("service_stopping"));
  child.Send(SIGTERM);
  EXPECT_EQ(child.Wait(), 70);
}

TEST(MainTest, APartThatCannotStartIs69) {
  Child fails({"--set", "example.start=fail"});
  EXPECT_EQ(fails.Wait(), 69);
  EXPECT_THAT(fails.printed(), HasSubstr("no Redis at 127.0.0.1:1"));
  Child throws({"--set", "example.start=throw"});
  EXPECT_EQ(throws.Wait(), 69);
  EXPECT_THAT(throws.printed(), HasSubstr("thrown at start"));
  Child first({});
  Child taken({"--set", Concat("http.port=", first.HttpPort())});
  EXPECT_EQ(taken.Wait(), 69);
  EXPECT_THAT(taken.printed(), HasSubstr("cannot listen on 127.0.0.1:"));
  Child nowhere({"--set", "trace.file=/nonexistent/x"});
  EXPECT_EQ(nowhere.Wait(), 69);
}

TEST(MainTest, EveryConfigurationErrorIsToldAtOnce) {
  const std::string file = Concat(testing::TempDir(), "lab_config_", getpid(), ".yaml");
  ASSERT_TRUE(WriteFileAtomic(file, "http: {prot: 1}\nstop.deadline: soon\n").ok());
  Child child({"--config", file, "--set", "log.level=loud", "--set", "http.pirt=5"});
  EXPECT_EQ(child.Wait(), 64);
  EXPECT_THAT(child.printed(), HasSubstr(Concat(file, ":1: http.prot: unknown field; did you mean \"http.port\"?\n")));
  EXPECT_THAT(child.printed(), HasSubstr(Concat(file, ":2: stop.deadline: must be")));
  EXPECT_THAT(child.printed(), HasSubstr("--set log.level: must be one of debug, info, warn, error, not \"loud\"\n"));
  EXPECT_THAT(child.printed(), HasSubstr("--set http.pirt: unknown field; did you mean \"http.port\"?\n"));
  unlink(file.c_str());
  Child missing({"--config", file});
  EXPECT_EQ(missing.Wait(), 64);
  EXPECT_THAT(missing.printed(), HasSubstr(file));
}

TEST(MainTest, CheckConfigStartsNothing) {
  Child right({"--check-config", "--set", "example.start=fail"});
  EXPECT_EQ(right.Wait(), 0);
  Child wrong({"--check-config", "--set", "example.small=5"});
  EXPECT_EQ(wrong.Wait(), 64);
  EXPECT_THAT(wrong.printed(), HasSubstr("example.small must be less than example.large"));
}

TEST(MainTest, PrintsWhatItTakes) {
  Child schema({"--print-config-schema"});
  EXPECT_EQ(schema.Wait(), 0);
  EXPECT_GE(json::parse(schema.printed()).size(), 15u);
  Child config({"--print-config", "--set", "example.small=0"});
  EXPECT_EQ(config.Wait(), 0);
  EXPECT_THAT(config.printed(), HasSubstr("  small: 0\n"));
  Child help({"--help"});
  EXPECT_EQ(help.Wait(), 0);
  EXPECT_THAT(help.printed(), HasSubstr("A service for tests."));
  EXPECT_THAT(help.printed(), HasSubstr("stop.deadline"));
}

TEST(MainTest, FailpointsAreThereOnlyWhenAskedFor) {
  Child without({});
  EXPECT_THAT(Get(without.HttpPort(), "/failpoints"), HasSubstr("404"));
  Child with({"--set", "failpoints.enabled=true"});
  EXPECT_THAT(Get(with.HttpPort(), "/failpoints"), HasSubstr("200 OK"));
  Child exposed({"--check-config", "--set", "failpoints.enabled=true", "--set", "http.host=0.0.0.0"});
  EXPECT_EQ(exposed.Wait(), 64);
  EXPECT_THAT(exposed.printed(), HasSubstr("set http.host to 127.0.0.1"));
  Child list({"--print-failpoints"});
  EXPECT_EQ(list.Wait(), 0);
  EXPECT_TRUE(json::parse(list.printed()).is_array());
}

TEST(MainTest, SpansLandInTheFileOnStop) {
  const std::string file = Concat(testing::TempDir(), "lab_main_spans_", getpid(), ".jsonl");
  unlink(file.c_str());
  Child child({"--set", "trace.sample_ratio=1", "--set", Concat("trace.file=", file)});
  const int port = child.HttpPort();
  Get(port, "/span");
  child.Send(SIGTERM);
  EXPECT_EQ(child.Wait(), 0);
  const absl::StatusOr<std::string> text = ReadFile(file);
  unlink(file.c_str());
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(json::parse(*text)["name"], "example.span");
}

// Takes one POST, answers 200, and gives what came; "" when nobody came.
std::string TakeOnePost(boost::asio::ip::tcp::acceptor& collector) {
  pollfd waiting{collector.native_handle(), POLLIN, 0};
  if (poll(&waiting, 1, 20'000) != 1) return "";
  boost::asio::ip::tcp::socket socket = collector.accept();
  std::string request;
  boost::system::error_code error;
  const size_t head = boost::asio::read_until(socket, boost::asio::dynamic_buffer(request), "\r\n\r\n", error);
  const size_t length = request.find("Content-Length: ");
  if (error || length == std::string::npos) return request;
  const size_t whole = head + std::stoul(request.substr(length + 16));
  if (whole > request.size()) {
    boost::asio::read(socket, boost::asio::dynamic_buffer(request),
                      boost::asio::transfer_exactly(whole - request.size()), error);
  }
  boost::asio::write(socket, boost::asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), error);
  return request;
}

TEST(MainTest, SpansGoToTheCollectorOfTheEnvironment) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor collector(io, {boost::asio::ip::address_v4::loopback(), 0});
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", Concat("http://127.0.0.1:", collector.local_endpoint().port()).c_str(), 1);
  Child child({"--set", "trace.sample_ratio=1"});
  unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
  const int port = child.HttpPort();
  ASSERT_GT(port, 0) << child.printed();
  Get(port, "/span");
  child.Send(SIGTERM);  // what has not been sent yet is sent now
  const std::string request = TakeOnePost(collector);
  EXPECT_EQ(child.Wait(), 0) << child.printed();
  EXPECT_THAT(request, testing::StartsWith("POST /v1/traces HTTP/1.1\r\n"));
  const json body = json::parse(request.substr(std::min(request.find("\r\n\r\n") + 4, request.size())), nullptr, false);
  ASSERT_FALSE(body.is_discarded()) << request;
  EXPECT_EQ(body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "example.span");
  EXPECT_THAT(body["resourceSpans"][0]["resource"].dump(), HasSubstr("\"example\""));
}

TEST(CommandLineTest, ReadsFlagsInBothForms) {
  const auto line = ParseCommandLine({"--config=a", "--set", "x.y=1=2", "--set=z=", "--check-config"});
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(line->config, "a");
  using Pair = std::pair<std::string, std::string>;
  EXPECT_THAT(line->sets, testing::ElementsAre(Pair("x.y", "1=2"), Pair("z", "")));
  EXPECT_TRUE(line->check_config);
}

TEST(CommandLineTest, ReportsEverythingWrong) {
  const auto line = ParseCommandLine({"--confg", "x", "--help=yes", "--set", "novalue", "--config"});
  EXPECT_EQ(std::string(line.status().message()),
            "unknown argument --confg; did you mean \"--config\"?\n"
            "unknown argument x; known: --config, --set, --check-config, --print-config, --print-config-schema, "
            "--print-failpoints, --help\n"
            "--help takes no value\n"
            "--set novalue: write PATH=VALUE, for example --set http.port=8080\n"
            "--config needs a value");
}

}  // namespace
}  // namespace lab::app
