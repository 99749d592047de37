#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "services/cacheapi/filter/brand_filter.h"
#include "services/cacheapi/origin/origin_queue.h"
#include "services/cacheapi/read/hot_copies.h"
#include "services/cacheapi/read/shadow.h"
#include "services/cacheapi/read/warm_up.h"
#include "services/cacheapi/shared/version_keys.h"
#include "services/cacheapi/testing/paths_fixture.h"
#include "services/cacheapi/write/brand_creator.h"

namespace lab::cacheapi {

// The same with the parts that modes ask, and any brand.
class ModesTest : public PathsTest {
 protected:
  void SetUp() override {
    PathsTest::SetUp();
    if (postgres_ != nullptr) postgres_->Query("DELETE FROM brand WHERE id <> 'acme'");
  }
  ~ModesTest() override {
    gate_.Open();
    if (redis_) redis_->Close();
    if (reads_) reads_->Close();
    if (writes_) writes_->Close();
    RunFor(Millis(1));
    processes_.clear();  // before what they ask
  }

  // Begins; `brand` and `actor` as in Reader::Query.
  std::shared_ptr<Outcome> Asking(Process& process, const std::string& brand, Nanos time = std::chrono::seconds(8),
                                  const std::string& actor = "", Window window = kDefaultWindow) {
    auto outcome = std::make_shared<Outcome>();
    process.reader.Get({brand, window, Clock::now() + time, actor}, [outcome](Answer answer) {
      outcome->answer = std::move(answer);
      outcome->ended = true;
    });
    return outcome;
  }
  Answer Ask(Process& process, const std::string& brand, Nanos time = std::chrono::seconds(8)) {
    const auto outcome = Asking(process, brand, time);
    EXPECT_TRUE(RunUntil([&] { return outcome->ended; }));
    return outcome->answer;
  }
  static std::string Via(const Answer& answer) { return std::string(Name(answer.via)); }
  static bool Exists(const Answer& answer) { return answer.status.ok() && !answer.value.negative; }

  struct Making {
    bool ended = false;
    absl::StatusOr<BrandCreator::Created> made = absl::UnknownError("not ended");
  };
  std::shared_ptr<Making> Creating(BrandCreator& creator, const std::string& brand, const std::string& actor = "",
                                   const std::string& name = "A brand") {
    auto making = std::make_shared<Making>();
    creator.Create(brand, name, actor, Clock::time_point::max(), [making](absl::StatusOr<BrandCreator::Created> made) {
      making->made = std::move(made);
      making->ended = true;
    });
    return making;
  }
  absl::StatusOr<BrandCreator::Created> Create(BrandCreator& creator, const std::string& brand,
                                               const std::string& name = "A brand") {
    const auto making = Creating(creator, brand, "", name);
    EXPECT_TRUE(RunUntil([&] { return making->ended; }));
    return making->made;
  }
  // By somebody who tells nobody.
  static void Insert(const std::string& brand) {
    postgres_->Query("INSERT INTO brand VALUES ('" + brand +
                     "', 'A brand'); INSERT INTO brand_state (brand_id) VALUES ('" + brand + "')");
  }
  static bool InRedis(const std::string& key) { return redis_server_->Command({"EXISTS", key}) == "1"; }
  bool Comes(const std::string& key) {
    return RunUntil([&] { return InRedis(key); });
  }

  std::optional<OriginQueue> queue_;
  std::optional<BrandFilter> filter_, other_filter_;
  std::optional<HotCopies> copies_;
  std::optional<VersionKeys> versions_, other_versions_;
  std::optional<Shadow> shadow_;
};

}  // namespace lab::cacheapi
