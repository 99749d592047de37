#include "services/runtime/pg/test_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace lab::pg {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Timer = std::chrono::steady_clock;

constexpr int kPortAttempts = 20;
constexpr milliseconds kStartTimeout{30'000};
constexpr milliseconds kPoll{2};
// The data folder as its processes find it: an open descriptor, because the user that it becomes need not be allowed to
// enter the folders above.
constexpr int kHeld = 3;
constexpr const char* kHere = "/proc/self/fd/3";

using ConnectionPtr = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using ResultPtr = std::unique_ptr<PGresult, decltype(&PQclear)>;

// The newest version of which both programs are there; "" when there is none.
std::string BinFolder() {
  std::vector<fs::path> places = {"/usr/lib/postgresql"};
  std::error_code error;
  // Unpacked by ./lab, which is above this program.
  for (fs::path above = fs::read_symlink("/proc/self/exe", error).parent_path(); above.has_relative_path();
       above = above.parent_path()) {
    places.push_back(above / ".lab/debian/usr/lib/postgresql");
  }
  int newest = 0;
  std::string found;
  for (const fs::path& place : places) {
    for (const fs::directory_entry& version : fs::directory_iterator(fs::weakly_canonical(place, error), error)) {
      const fs::path bin = version.path() / "bin";
      const int number = std::atoi(version.path().filename().c_str());
      const bool complete =
          access((bin / "postgres").c_str(), X_OK) == 0 && access((bin / "initdb").c_str(), X_OK) == 0;
      if (!complete || number <= newest) continue;
      newest = number;
      found = bin.string();
    }
    if (!found.empty()) break;
  }
  return found;
}

struct Owner {
  uid_t user = geteuid();
  gid_t group = getegid();
  bool change = false;
};

Owner OwnerOfClusters() {
  Owner owner;
  if (geteuid() != 0) return owner;
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* entry = getpwnam(name)) return {entry->pw_uid, entry->pw_gid, true};
  }
  throw std::runtime_error("PostgreSQL refuses root, and there is neither a user postgres nor nobody");
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) close(fd);
  if (!bound) throw std::runtime_error("no free loopback port");
  return ntohs(address.sin_port);
}

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// With its data folder held for it, input from and output to files; all made before the fork, after which only
// async-signal-safe calls are allowed.
pid_t Spawn(const std::string& program, std::vector<std::string> arguments, const std::string& folder,
            const std::string& log_file, const std::string& input_file = "/dev/null") {
  const std::string binary = BinFolder() + "/" + program;
  std::vector<char*> argv;
  arguments.insert(arguments.begin(), binary);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC"};
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  const Owner owner = OwnerOfClusters();
  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int input = open(input_file.c_str(), O_RDONLY | O_CLOEXEC);
  const int held = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(input, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    // PostgreSQL 15 leaves its working folder and comes back by its path; it enters its data folder later.
    if (dup2(held, kHeld) != kHeld || fcntl(kHeld, F_SETFD, 0) != 0 || chdir("/") != 0) _exit(125);
    if (owner.change && (setgroups(1, &owner.group) != 0 || setgid(owner.group) != 0 || setuid(owner.user) != 0))
      _exit(125);
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // here: a change of the user takes it back
    if (getppid() != parent) _exit(126);
    execve(binary.c_str(), argv.data(), environment.data());
    _exit(127);
  }
  if (log >= 0) close(log);
  if (input >= 0) close(input);
  if (held >= 0) close(held);
  if (pid < 0) throw std::runtime_error("fork failed");
  return pid;
}

void Run(const std::string& program, std::vector<std::string> arguments, const std::string& folder,
         const std::string& log_file, const std::string& input_file = "/dev/null") {
  const pid_t pid = Spawn(program, std::move(arguments), folder, log_file, input_file);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error(program + " failed; it printed:\n" + TextOf(log_file));
}

void GiveTo(const Owner& owner, const std::string& path) {
  if (owner.change && lchown(path.c_str(), owner.user, owner.group) != 0) {
    throw std::runtime_error("cannot give away " + path);
  }
}

std::string MakeFolder() {
  std::string folder = (fs::temp_directory_path() / "lab-pg-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + folder);
  return folder;
}

void RemoveFolder(const std::string& folder) {
  std::error_code ignored;
  if (!folder.empty()) fs::remove_all(folder, ignored);
}

// What a killed server leaves outside of its folder: a System V segment of some bytes, by which it knows whether
// processes of an earlier one still live. Line 7 of postmaster.pid: its key and its number.
void RemoveSharedMemory(const std::string& data) {
  std::ifstream file(data + "/postmaster.pid");
  std::string line;
  for (int i = 0; i < 6; ++i) std::getline(file, line);
  long key = 0;
  int id = -1;
  shmid_ds info{};
  if (file >> key >> id && shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 0 &&
      static_cast<unsigned long>(info.shm_perm.__key) == static_cast<unsigned long>(static_cast<key_t>(key))) {
    shmctl(id, IPC_RMID, nullptr);
  }
}

// A postmaster has one thread, and its processes have no children that stay.
std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  return {std::istream_iterator<pid_t>(file), {}};
}

}  // namespace

// What lives as long as the process: the cluster that others are copies of, and the servers that nobody destroyed.
struct TestServers {
  ~TestServers() {
    const std::set<TestServer*> left = std::exchange(alive, {});
    for (TestServer* server : left) server->Discard();
    RemoveFolder(original);
  }

  // https://www.postgresql.org/docs/current/app-initdb.html. Without fsync: tests kill processes, not machines.
  const std::string& Original() {
    if (!original.empty()) return original;
    const std::string folder = MakeFolder(), data = folder + "/data", log = folder + "/log";
    try {
      fs::create_directory(data);
      GiveTo(OwnerOfClusters(), data);
      Run("initdb",
          {"-D", kHere, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--lc-messages=C",
           "--no-sync", "--no-instructions", "--wal-segsize=1"},
          data, log);
      std::ofstream(folder + "/sql")
          << "CREATE ROLE lab LOGIN REPLICATION;\nGRANT pg_monitor, pg_signal_backend TO lab;\n"
             "CREATE DATABASE lab OWNER lab;\n"
             "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0';\n"
             "DROP DATABASE template0;\n";
      Run("postgres", {"--single", "-D", kHere, "-c", "exit_on_error=on", "-c", "fsync=off", "postgres"}, data, log,
          folder + "/sql");
    } catch (...) {
      RemoveFolder(folder);
      throw;
    }
    return original = folder;
  }

  std::string original;
  std::set<TestServer*> alive;
};

namespace {

TestServers& Servers() {
  static TestServers servers;
  return servers;
}

void CopyCluster(const std::string& from, const std::string& to) {
  fs::copy(from, to, fs::copy_options::recursive);
  const Owner owner = OwnerOfClusters();
  GiveTo(owner, to);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(to)) GiveTo(owner, entry.path().string());
}

}  // namespace

std::string TestServer::WhyNone() {
  if (!BinFolder().empty()) return "";
  return "no PostgreSQL server here (postgres and initdb below /usr/lib/postgresql); ./lab list gets one";
}

TestServer::TestServer(std::vector<std::string> settings) : settings_(std::move(settings)) {
  if (const std::string why = WhyNone(); !why.empty()) throw std::runtime_error(why);
  const std::string original = Servers().Original();
  folder_ = MakeFolder();
  try {
    CopyCluster(original + "/data", folder_ + "/data");
    // Another process may take the port between its choice and the server's bind.
    for (int attempt = 1;; ++attempt) {
      port_ = FreePort();
      try {
        Start();
        break;
      } catch (const std::runtime_error&) {
        if (attempt == kPortAttempts || TextOf(folder_ + "/log").find("Address already in use") == std::string::npos)
          throw;
        fs::remove(folder_ + "/log");
      }
    }
  } catch (...) {
    Discard();
    throw;
  }
  Servers().alive.insert(this);
}

TestServer::~TestServer() {
  if (Servers().alive.erase(this) > 0) Discard();
}

void TestServer::Discard() {
  Kill();
  RemoveSharedMemory(folder_ + "/data");
  RemoveFolder(folder_);
}

void TestServer::Start() {
  if (pid_ > 0) return;
  std::vector<std::string> arguments = {"-D", kHere};
  std::vector<std::string> settings = {"listen_addresses=127.0.0.1",
                                       "port=" + std::to_string(port_),
                                       "unix_socket_directories=.",
                                       "dynamic_shared_memory_type=mmap",  // files that go with the folder
                                       "fsync=off",
                                       "wal_level=logical",
                                       "shared_buffers=16MB",
                                       "jit=off"};
  settings.insert(settings.end(), settings_.begin(), settings_.end());
  for (std::string& setting : settings) {
    arguments.emplace_back("-c");
    arguments.push_back(std::move(setting));
  }
  const std::string log = folder_ + "/log";
  pid_ = Spawn("postgres", std::move(arguments), folder_ + "/data", log);
  const auto give_up = Timer::now() + kStartTimeout;
  while (waitpid(pid_, nullptr, WNOHANG) != pid_) {
    // Its own line in its own log: another server may have taken the port.
    if (TextOf(log).find("ready to accept connections") != std::string::npos) {
      try {
        Query("SELECT 1");
        return;
      } catch (const std::runtime_error&) {
        if (Timer::now() > give_up) throw;
      }
    }
    if (Timer::now() > give_up) {
      Kill();
      throw std::runtime_error("postgres did not answer in time");
    }
    std::this_thread::sleep_for(kPoll);
  }
  pid_ = -1;
  throw std::runtime_error("postgres ended at once; it printed:\n" + TextOf(log));
}

// Each of its processes is the leader of a group of its own. Stopped the postmaster makes no more of them, so it is
// first to stop, and last to go on or end.
void TestServer::Signal(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, SIGSTOP);
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  for (const pid_t child : ChildrenOf(pid_)) kill(child, signal);
  kill(pid_, signal);
  if (signal != SIGSTOP && signal != SIGKILL) kill(pid_, SIGCONT);
}

void TestServer::SignalPool(const std::string& name, int signal) {
  std::istringstream pids(Admin("SELECT pid FROM pg_stat_activity WHERE application_name = '" + name + "'"));
  for (pid_t pid = 0; pids >> pid;) kill(pid, signal);
}

void TestServer::Pause() { Signal(SIGSTOP); }

void TestServer::Continue() { Signal(SIGCONT); }

void TestServer::Kill() {
  if (pid_ <= 0) return;
  const std::vector<pid_t> children = ChildrenOf(pid_);
  Signal(SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  // The next start refuses while one of them holds the shared memory. They are init's to wait for now: ended is also
  // what nobody has waited for.
  const auto running = [](pid_t pid) {
    const std::string stat = TextOf("/proc/" + std::to_string(pid) + "/stat");
    const size_t name_end = stat.rfind(')');
    return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
  };
  const auto give_up = Timer::now() + milliseconds(5000);
  while (std::any_of(children.begin(), children.end(), running) && Timer::now() < give_up) {
    std::this_thread::sleep_for(kPoll);
  }
  std::error_code ignored;  // so that the next start does not find the old "ready"
  fs::remove(folder_ + "/log", ignored);
}

std::string TestServer::Query(const std::string& sql) { return Ask(user_, database_, sql); }

std::string TestServer::Admin(const std::string& sql, const std::string& database) {
  return Ask("postgres", database, sql);
}

std::string TestServer::Ask(const std::string& user, const std::string& database, const std::string& sql) {
  const std::string port = std::to_string(port_);
  const char* const names[] = {"host", "port", "user", "dbname", "connect_timeout", "options", nullptr};
  const char* const values[] = {
      "127.0.0.1", port.c_str(), user.c_str(), database.c_str(), "5", "-c statement_timeout=5000", nullptr};
  const ConnectionPtr connection(PQconnectdbParams(names, values, 0), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
  const ResultPtr result(PQexec(connection.get(), sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    throw std::runtime_error(PQerrorMessage(connection.get()));
  }
  std::string text;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    if (row > 0) text += '\n';
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      if (column > 0) text += '|';
      text += PQgetvalue(result.get(), row, column);
    }
  }
  return text;
}

}  // namespace lab::pg
