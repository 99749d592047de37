#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace lab::pg {

// A real PostgreSQL for tests: a cluster of its own in a temporary folder, on a free loopback port. Run as root it
// becomes the user `postgres`, else `nobody`, because PostgreSQL refuses root. It dies with the thread that started it
// (PR_SET_PDEATHSIG): call from the main thread. The first one of a process takes a second (initdb), later ones a tenth
// of it. One that is never destroyed ends, and its folder goes, with the process.
class TestServer {
 public:
  // "" or why there is none on this host, with the remedy: for GTEST_SKIP() << TestServer::WhyNone().
  static std::string WhyNone();

  // `settings` over the defaults, as "max_connections=20". Returns when it answers a query, or throws with what it
  // printed.
  explicit TestServer(std::vector<std::string> settings = {});
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  int port() const { return port_; }
  pid_t pid() const { return pid_; }  // of the postmaster; -1 after Kill
  // As a lab's services find it: a role that is no superuser and needs no password, and an empty database of its own.
  const std::string& user() const { return user_; }
  const std::string& database() const { return database_; }

  void Signal(int signal);  // to the postmaster and all its processes; SIGSTOP has taken effect when it returns
  // To the processes that serve the connections of this application_name, which is the name of a client's pool.
  void SignalPool(const std::string& name, int signal);
  void Pause();     // SIGSTOP
  void Continue();  // SIGCONT
  void Kill();      // SIGKILL to all, waits for the end
  void Start();     // again, on the same port and data, after Kill; waits until it answers

  // By a blocking connection of its own, several statements in one transaction; the rows of the last one, a line each,
  // fields between "|", NULL as "". Throws with the server's words, and when there is no answer in 5 s.
  std::string Query(const std::string& sql);
  // The same as superuser, in any database.
  std::string Admin(const std::string& sql, const std::string& database = "postgres");

 private:
  friend struct TestServers;
  std::string Ask(const std::string& user, const std::string& database, const std::string& sql);
  void Discard();  // kills it and removes its folder

  const std::string user_ = "lab", database_ = "lab";
  std::vector<std::string> settings_;
  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace lab::pg
