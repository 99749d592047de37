#include "services/cacheapi/write/brand_creator.h"

#include <memory>
#include <string>

#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

class BrandCreatorTest : public ModesTest {
 protected:
  BrandCreator& Creator() {
    creator_ = std::make_unique<BrandCreator>(*origin_, Start(LeasedReads(), {}).writer, nullptr, &gate_, metrics_);
    return *creator_;
  }
  std::unique_ptr<BrandCreator> creator_;
};

TEST_F(BrandCreatorTest, ARowForTheRelayOnlyWhereThereIsOne) {
  for (const bool outbox : {true, false}) {
    origin_.emplace(*reads_, *writes_, Origin::Options{.outbox = outbox}, metrics_);
    const std::string brand = outbox ? "told" : "untold";
    ASSERT_TRUE(Create(Creator(), brand).ok());
    EXPECT_EQ(postgres_->Query("SELECT count(*) FROM outbox WHERE brand_id = '" + brand + "'"), outbox ? "1" : "0");
  }
}

// While it waits for another one's row it moves by itself, and nobody may say that all is quiet.
TEST_F(BrandCreatorTest, IsPresentAtTheGateUntilItEnds) {
  BrandCreator& creator = Creator();
  const auto first = Creating(creator, "new", "A"), second = Creating(creator, "new", "B");
  EXPECT_EQ(gate_.present().size(), 2u);
  EXPECT_FALSE(gate_.quiet());
  Go("A", Step::kWrite);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("A") == Step::kCommit && HeldAt("B") == Step::kWrite; }));
  EXPECT_TRUE(gate_.quiet());
  Go("B", Step::kWrite);
  RunFor(Millis(10));
  EXPECT_FALSE(gate_.quiet()) << "it waits for the row of A";
  Go("A", Step::kCommit);
  Go("A", Step::kDelete);
  ASSERT_TRUE(RunUntil([&] { return first->ended && second->ended; }));
  ASSERT_TRUE(RunUntil([&] { return gate_.present().empty(); }));
}

TEST_F(BrandCreatorTest, AfterItsDeadlineNothingIsBegun) {
  BrandCreator& creator = Creator();
  auto making = std::make_shared<Making>();
  creator.Create("late", "A brand", "C", Clock::now() + Millis(1000),
                 [making](absl::StatusOr<BrandCreator::Created> made) {
                   making->made = std::move(made);
                   making->ended = true;
                 });
  ASSERT_TRUE(RunUntil([&] { return HeldAt("C") == Step::kWrite; }));
  RunFor(Millis(1020));
  Go("C", Step::kWrite);
  ASSERT_TRUE(RunUntil([&] { return making->ended; }));
  EXPECT_EQ(making->made.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(postgres_->Query("SELECT count(*) FROM brand WHERE id = 'late'"), "0");
}

}  // namespace
}  // namespace lab::cacheapi
