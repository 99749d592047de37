// PostgreSQL as a part: real clusters, of templates that all tests here share.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "bench/fault/fault.h"
#include "bench/host/family.h"
#include "bench/observe/pg_wire.h"
#include "bench/run/postgres_template.h"
#include "bench/run/run_folder.h"
#include "bench/run/system.h"
#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Nanos kTime = std::chrono::seconds(5);

struct Boots : Progress {
  void Boot(const std::string& text) override { lines.push_back(text); }
  std::vector<std::string> lines;
};

class PostgresTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { root_ = new TemporaryFolder(); }
  static void TearDownTestSuite() { delete root_; }
  void SetUp() override {
    if (const absl::Status there = FindPostgres("", "").status(); !there.ok()) GTEST_SKIP() << there.message();
    setenv("LAB_STATE", root_->path().c_str(), 1);
    journal_ = *Journal::Open(root_->path());
    spawner_ =
        std::make_unique<Spawner>([this](pid_t pid, const std::string& name) { return journal_->Process(pid, name); });
    PartSpec part;
    part.name = "db";
    part.kind = "postgres";
    lab_.system = {part};
  }
  void TearDown() override {
    system_.reset();
    unsetenv("LAB_STATE");
  }

  absl::Status TryStart() {
    // What is killed here is a process, not the host; and a server that was killed writes all of its files to the disk
    // before it starts, which takes as long as the disk has other work.
    if (!synced_) lab_.system[0].set.try_emplace("fsync", "off");
    system_.reset();
    system_ = std::make_unique<System>(
        lab_,
        System::Options{
            root_->path(), root_->path() + "/trial", journal_->folder() + "/data", {}, [] { return false; }},
        *spawner_, *journal_);
    boots_.lines.clear();
    return system_->Start(boots_);
  }
  void Start() {
    const absl::Status started = TryStart();
    ASSERT_TRUE(started.ok()) << started;
  }
  Part& part() const { return *system_->Find("db", 0); }
  std::string data() const { return journal_->folder() + "/data/db"; }
  std::string Query(const std::string& sql, const std::string& database = "lab") const {
    PgConnection connection("127.0.0.1", part().port("postgres"), {.database = database});
    const absl::StatusOr<PgReply> reply = connection.Query(sql, kTime);
    if (!reply.ok()) return std::string(reply.status().message());
    return reply->rows.empty() ? "" : reply->rows.at(0).at(0);
  }
  static size_t Templates() {
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator(root_->path() + "/postgres")) count += entry.is_directory() ? 1 : 0;
    return count;
  }
  std::unique_ptr<Fault> Kill(const std::string& data) const {
    return FindFault("postgres", "kill")->make({part(), {{"data", data}}, Millis(300)});
  }
  void KillAndHeal(const std::string& data) const {
    const std::unique_ptr<Fault> fault = Kill(data);
    ASSERT_TRUE(fault->Prepare().ok());
    ASSERT_TRUE(fault->Apply().ok());
    EXPECT_TRUE(Eventually([&] { return fault->Seen().has_value(); }));
    const absl::Status healed = fault->Heal();
    ASSERT_TRUE(healed.ok()) << healed;
    EXPECT_TRUE(Eventually([&] { return fault->Healed(); }));
  }

  static inline TemporaryFolder* root_ = nullptr;
  bool synced_ = false;
  Lab lab_;
  Boots boots_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Spawner> spawner_;
  std::unique_ptr<System> system_;
};

TEST_F(PostgresTest, StartsFromATemplateThatIsMadeOnce) {
  Start();
  EXPECT_EQ(part().Ask(kTime), Look::kAnswers);
  EXPECT_THAT(system_->Describe().at(0).version, ::testing::StartsWith("postgres 1"));
  Start();
  EXPECT_THAT(boots_.lines, SizeIs(1)) << "a template was made again";
  EXPECT_GT(TemplateBytes(root_->path()), uint64_t{10} << 20);
  const Clock::time_point begin = Clock::now();
  Start();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  RecordProperty("stop_and_start_s", std::to_string(seconds));
  EXPECT_LT(seconds, 3) << "a stop and a start, on a busy host";
}

TEST_F(PostgresTest, ServesAUserWhoIsNoSuperuserAndNobodyElseFromOutside) {
  Start();
  EXPECT_EQ(Query("SELECT usesuper FROM pg_user WHERE usename = current_user"), "f");
  EXPECT_EQ(Query("CREATE TABLE mine (n int)"), "");
  EXPECT_THAT(Query("COPY (SELECT 1) TO PROGRAM 'true'"), HasSubstr("42501"));
  PgConnection superuser("127.0.0.1", part().port("postgres"), {.user = "postgres"});
  EXPECT_EQ(PlaceOf(superuser.Query("SELECT 1", kTime).status()).sqlstate, "28000");
  EXPECT_NE(ReadProcess(part().pid())->start_ticks, 0u);
}

TEST_F(PostgresTest, TakesSettingsAsLabsWriteThem) {
  synced_ = true;
  lab_.system[0].set = {{"max_connections", "17"},    {"synchronous_commit", "off"},
                        {"work_mem", "1mb"},          {"statement_timeout", "1.5s"},
                        {"checkpoint_timeout", "2m"}, {"default_transaction_isolation", "repeatable read"}};
  Start();
  for (const auto& [setting, value] :
       std::map<std::string, std::string>{{"max_connections", "17"},
                                          {"synchronous_commit", "off"},
                                          {"work_mem", "1MB"},
                                          {"statement_timeout", "1500ms"},
                                          {"checkpoint_timeout", "2min"},
                                          {"default_transaction_isolation", "repeatable read"},
                                          {"wal_level", "logical"},
                                          {"max_slot_wal_keep_size", "1GB"},
                                          {"shared_buffers", "128MB"},
                                          {"fsync", "on"}}) {
    EXPECT_EQ(Query("SHOW " + setting), value) << setting;
  }
  EXPECT_EQ(system_->Describe().at(0).changed.at("max_connections"), "17");
}

TEST_F(PostgresTest, EveryFallbackIsWhatTheServerDoes) {
  synced_ = true;
  Start();
  const PartKind& kind = *FindPartKind("postgres");
  const std::vector<Catalogue::Knob> knobs = *kind.Knobs(Build{root_->path()});
  for (const Catalogue::Knob& knob : knobs) {
    if (knob.path == "binary" || knob.path == "databases") continue;
    const std::string before = Query("SHOW " + knob.path);
    if (knob.type == "one of" || knob.type == "int") {
      EXPECT_EQ(before, knob.fallback) << knob.path;
    }
    if (knob.type != "size" && knob.type != "duration") continue;
    lab_.system[0].set[knob.path] = knob.fallback;
  }
  const std::map<std::string, std::string> set = lab_.system[0].set;
  std::map<std::string, std::string> as_it_is;
  for (const auto& [name, value] : set) as_it_is[name] = Query("SHOW " + name);
  Start();
  for (const auto& [name, value] : as_it_is) EXPECT_EQ(Query("SHOW " + name), value) << name;
}

TEST_F(PostgresTest, ADatabaseComesWithItsSchema) {
  root_->Write("deploy/sql/shop/001_orders.sql", "CREATE TABLE orders (id int PRIMARY KEY);\n");
  root_->Write("deploy/sql/shop/002_state.sql",
               "ALTER TABLE orders ADD state text;\nINSERT INTO orders VALUES (1, 'new');\n");
  lab_.system[0].set = {{"databases", "shop"}};
  Start();
  EXPECT_EQ(Query("SELECT state FROM orders", "shop"), "new");
  EXPECT_EQ(Query("SELECT string_agg(name, ' ' ORDER BY name) FROM lab_migrations", "shop"),
            "001_orders.sql 002_state.sql");
  EXPECT_EQ(Query("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"), "lab");
  const size_t before = Templates();
  root_->Write("deploy/sql/shop/003_more.sql", "CREATE TABLE more (id int);\n");
  Start();
  EXPECT_EQ(Query("SELECT count(*) FROM more", "shop"), "0");
  EXPECT_EQ(Templates(), before + 1);
}

TEST_F(PostgresTest, AMigrationThatFailsIsNamedWithItsLine) {
  root_->Write("deploy/sql/bad/001_first.sql", "CREATE TABLE a (id int);\n");
  root_->Write("deploy/sql/bad/002_second.sql", "-- two\nCREATE TABLE b (id int);\nINSERT INTO c\n  VALUES (1);\n");
  lab_.system[0].set = {{"databases", "bad"}};
  const size_t before = fs::exists(root_->path() + "/postgres") ? Templates() : 0;
  EXPECT_THAT(std::string(TryStart().message()),
              HasSubstr("deploy/sql/bad/002_second.sql:3: relation \"c\" does not exist"));
  EXPECT_EQ(Templates(), before) << "what failed is not kept";
  root_->Write("deploy/sql/bad/002_second.sql", "CREATE TABLE b (id int);\n\nSELECT 1 / 0;\n");
  EXPECT_THAT(std::string(TryStart().message()), HasSubstr("002_second.sql:3: division by zero"));
  lab_.system[0].set = {{"databases", "nowhere"}};
  EXPECT_THAT(std::string(TryStart().message()), HasSubstr("there is no deploy/sql/nowhere"));
}

TEST_F(PostgresTest, AKilledServerKeepsItsDataOrLosesAllButItsSchema) {
  root_->Write("deploy/sql/kept/001_t.sql", "CREATE TABLE t (n int);\n");
  lab_.system[0].set = {{"databases", "kept"}};
  Start();
  Query("INSERT INTO t VALUES (7)", "kept");
  KillAndHeal("keep");
  EXPECT_EQ(Query("SELECT n FROM t", "kept"), "7");
  KillAndHeal("lost");
  EXPECT_EQ(Query("SELECT count(*) FROM t", "kept"), "0");
}

TEST_F(PostgresTest, ABusySessionEndsWithItsServer) {
  Start();
  PgConnection busy("127.0.0.1", part().port("postgres"), {.database = "lab"});
  // In no place where it would look whether its postmaster lives.
  ASSERT_TRUE(
      absl::IsDeadlineExceeded(busy.Query("DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$", Millis(100)).status()));
  const std::string binary = part().binary();
  KillAndHeal("keep");
  EXPECT_EQ(Query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'"), "0");
  const pid_t postmaster = part().pid();
  kill(postmaster, SIGKILL);  // as nobody of ours does: its processes are left
  EXPECT_TRUE(Eventually([&] { return system_->UnaskedEnds().size() == 1; }));
  system_->Stop(false);
  EXPECT_THAT(ProcessesIn(data(), binary), IsEmpty());
}

TEST_F(PostgresTest, StopsInOrderAndLeavesNothing) {
  Start();
  Query("CREATE TABLE t (n int)");
  const std::string binary = part().binary(), folder = data();
  EXPECT_THAT(ProcessesIn(folder, binary), Contains(part().pid()));
  EXPECT_THAT(system_->Stop(false), IsEmpty());
  EXPECT_THAT(ProcessesIn(folder, binary), IsEmpty());
  EXPECT_FALSE(fs::exists(folder + "/postmaster.pid")) << "it was killed";
  EXPECT_THAT(root_->Read("trial/logs/db.log"), HasSubstr("database system is shut down"));
  system_.reset();
  EXPECT_FALSE(fs::exists(folder));
}

// Its System V segment, by the number in postmaster.pid.
bool SegmentExists(int id) {
  std::ifstream file("/proc/sysvipc/shm");
  std::string line;
  std::getline(file, line);
  int64_t key = 0;
  int number = 0;
  while (file >> key >> number && std::getline(file, line)) {
    if (number == id) return true;
  }
  return false;
}

int SegmentOf(const std::string& folder) {
  std::ifstream file(folder + "/postmaster.pid");
  std::string line;
  for (int i = 0; i < 6; ++i) std::getline(file, line);
  int64_t key = 0;
  int id = -1;
  file >> key >> id;
  return id;
}

TEST_F(PostgresTest, AKilledServerLeavesNoSharedMemory) {
  Start();
  const int segment = SegmentOf(data());
  ASSERT_TRUE(SegmentExists(segment));
  ASSERT_TRUE(part().Signal(SIGKILL).ok());
  part().WaitEnd(kTime);
  system_->Stop(false);
  EXPECT_FALSE(SegmentExists(segment));
}

TEST_F(PostgresTest, TellsWhatItDid) {
  Start();
  std::vector<Observed> sources = system_->Sources();
  ASSERT_THAT(sources, SizeIs(1));
  Query("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)");
  PgConnection open("127.0.0.1", part().port("postgres"), {.database = "lab"});
  ASSERT_TRUE(open.Query("BEGIN", kTime).ok());
  std::map<std::string, double> seen;
  EXPECT_TRUE(Eventually([&] {
    const auto values = sources[0].ask(kTime);
    if (values.ok()) seen = *values;
    return seen["postgres_tuples_inserted_total"] >= 1000;
  }));
  EXPECT_EQ(seen["postgres_connections"], 1);
  EXPECT_EQ(seen["postgres_connections_idle_in_transaction"], 1);
  EXPECT_GE(seen["postgres_commits_total"], 1);
  const std::map<std::string, double> finals = system_->FinalReads();
  EXPECT_GE(finals.at("db.tuples_inserted"), 1000);
  EXPECT_GT(finals.at("db.wal_bytes"), 1000);
  EXPECT_GT(finals.at("db.size"), 1e6);
  EXPECT_EQ(finals.at("db.deadlocks"), 0);
}

TEST_F(PostgresTest, WhatItsProcessesUseIsItsUse) {
  Start();
  const double before = ReadFamily(part().pid())->cpu_s, alone = ReadProcess(part().pid())->cpu_s;
  Query("SELECT sum(i) FROM generate_series(1, 3000000) i");
  const std::optional<ProcessFigures> after = ReadFamily(part().pid());
  EXPECT_GT(after->cpu_s - before, 0.1);
  EXPECT_LT(ReadProcess(part().pid())->cpu_s - alone, 0.1) << "the postmaster itself does nothing";
  EXPECT_GT(after->threads, 4);
  EXPECT_GT(after->memory_bytes, 10e6);
}

TEST_F(PostgresTest, AKilledRunnerLeavesNothingBehind) {
  const std::string state = root_->path() + "/killed";
  setenv("LAB_STATE", state.c_str(), 1);
  const pid_t runner = fork();
  if (runner == 0) {
    const std::unique_ptr<Journal> journal = *Journal::Open(state);
    Spawner spawner([&](pid_t pid, const std::string& name) { return journal->Process(pid, name); });
    System system(lab_, {state, state + "/trial", journal->folder() + "/data", {}, [] { return false; }}, spawner,
                  *journal);
    Progress silent;
    const absl::Status started = system.Start(silent);
    std::ofstream(state + "/started") << (started.ok() ? std::to_string(system.Find("db", 0)->port("postgres")) : "no")
                                      << " " << (started.ok() ? system.Find("db", 0)->binary() : "") << "\n"
                                      << std::flush;
    for (;;) pause();
  }
  int port = 0;
  std::string binary;
  ASSERT_TRUE(
      Eventually([&] { return bool(std::ifstream(state + "/started") >> port >> binary); }, std::chrono::seconds(30)));
  PgConnection busy("127.0.0.1", port, {.database = "lab"});
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(busy.Query("DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$", Millis(100)).status()));
  EXPECT_THAT(ProcessesIn(state, binary), ::testing::Not(IsEmpty()));
  kill(runner, SIGKILL);
  waitpid(runner, nullptr, 0);
  EXPECT_TRUE(Eventually([&] { return ProcessesIn(state, binary).size() <= 1; })) << "idle ones end by themselves";
  CleanLeftovers(state);
  EXPECT_THAT(ProcessesIn(state, binary), IsEmpty());
  EXPECT_TRUE(fs::is_empty(state + "/state"));
  setenv("LAB_STATE", root_->path().c_str(), 1);
}

TEST_F(PostgresTest, TwoAtOnceMakeOneTemplate) {
  const std::string state = root_->path() + "/both";
  const absl::StatusOr<PostgresPrograms> programs = FindPostgres("", "");
  const ClusterSpec spec{*programs, *PostgresVersion(*programs), false, {}};
  fs::create_directories(state + "/postgres/making/base");  // one that was broken off
  std::vector<std::string> told;
  std::vector<std::thread> threads;
  std::vector<absl::Status> results(2);
  std::mutex mutex;
  for (size_t i = 0; i < 2; ++i) {
    fs::create_directories(Concat(state, "/data-", i));
    threads.emplace_back([&, i] {
      results[i] = MakeCluster(spec, state, Concat(state, "/data-", i), [&](const std::string& line) {
        const std::lock_guard lock(mutex);
        told.push_back(line);
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(results[i].ok()) << results[i];
    EXPECT_TRUE(fs::exists(Concat(state, "/data-", i, "/PG_VERSION")));
  }
  EXPECT_THAT(told, ElementsAre(HasSubstr(" MiB in " + state)));
  EXPECT_FALSE(fs::exists(state + "/postgres/making"));
}

TEST(PostgresProgramsTest, TheNewestThatIsCompleteIsTaken) {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& name) {
    folder.Write(name, "#!/bin/sh\n");
    fs::permissions(folder.path() + "/" + name, fs::perms::owner_all);
  };
  EXPECT_THAT(std::string(FindPostgresIn({folder.path()}).status().message()), HasSubstr("no PostgreSQL server"));
  for (const char* program : {"9/bin/postgres", "9/bin/initdb", "15/bin/postgres", "15/bin/initdb", "17/bin/psql"})
    make(program);
  EXPECT_EQ(FindPostgresIn({"/nowhere", folder.path()})->folder, folder.path() + "/15/bin");
  make("17/bin/postgres");
  EXPECT_EQ(FindPostgresIn({folder.path()})->folder, folder.path() + "/15/bin") << "17 cannot make a cluster";
  make("17/bin/initdb");
  EXPECT_EQ(FindPostgresIn({folder.path()})->folder, folder.path() + "/17/bin");
  EXPECT_EQ(FindPostgres("", folder.path() + "/9/bin/postgres")->postgres(), folder.path() + "/9/bin/postgres");
  EXPECT_THAT(FindPostgres("", folder.path() + "/17/bin/psql").status().message(), ::testing::IsEmpty());
  EXPECT_FALSE(FindPostgres("", "/nowhere/postgres").ok());
}

}  // namespace
}  // namespace lab::bench
