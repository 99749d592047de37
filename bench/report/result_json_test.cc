#include "bench/report/result_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/report/testing/synthetic.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

const Report& Sample() {
  static const auto* const report = new Report(MakeReport(testing::SyntheticLab(), testing::SyntheticRun(7, 500)));
  return *report;
}

// The part of JSON Schema that result.schema.json uses.
class Validator {
 public:
  explicit Validator(Json schema) : root_(std::move(schema)) {}
  std::vector<std::string> Check(const Json& json) {
    errors_.clear();
    Check(json, root_, "$");
    return errors_;
  }

 private:
  static bool HasType(const Json& json, const std::string& type) {
    if (type == "object") return json.is_object();
    if (type == "array") return json.is_array();
    if (type == "string") return json.is_string();
    if (type == "boolean") return json.is_boolean();
    if (type == "integer") return json.is_number_integer();
    if (type == "number") return json.is_number();
    return type == "null" && json.is_null();
  }

  void Check(const Json& json, const Json& schema, const std::string& path) {
    if (schema.contains("$ref")) {
      Check(json, root_.at("$defs").at(schema["$ref"].get<std::string>().substr(8)), path);
      return;
    }
    if (schema.contains("const") && json != schema["const"]) errors_.push_back(path + ": another constant");
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), json) == schema["enum"].end()) {
      errors_.push_back(path + ": not in the enum");
    }
    if (schema.contains("type")) {
      const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
      const bool any = std::any_of(types.begin(), types.end(), [&](const Json& t) { return HasType(json, t); });
      if (!any) errors_.push_back(path + ": another type: " + json.dump().substr(0, 60));
    }
    if (json.is_array() && schema.contains("items")) {
      for (size_t i = 0; i < json.size(); ++i) Check(json[i], schema["items"], path + "[" + std::to_string(i) + "]");
    }
    if (json.is_object()) CheckObject(json, schema, path);
  }

  void CheckObject(const Json& json, const Json& schema, const std::string& path) {
    const Json properties = schema.value("properties", Json::object());
    for (const Json& key : schema.value("required", Json::array())) {
      if (!json.contains(key.get<std::string>())) errors_.push_back(path + ": misses " + key.get<std::string>());
    }
    for (const auto& [key, item] : json.items()) {
      if (properties.contains(key)) {
        Check(item, properties[key], path + "." + key);
      } else if (schema["additionalProperties"].is_object()) {
        Check(item, schema["additionalProperties"], path + "." + key);
      } else {
        errors_.push_back(path + ": has " + key);
      }
    }
  }

  const Json root_;
  std::vector<std::string> errors_;
};

Json Schema() {
  const std::string file = std::string(LAB_SOURCE_DIR) + "/bench/report/result.schema.json";
  return Json::parse(*ReadFile(file));
}

TEST(ResultJsonTest, HasExactlyTheKeysOfTheSchema) {
  Validator validator(Schema());
  EXPECT_THAT(validator.Check(Json::parse(ResultJson(Sample()))), ::testing::IsEmpty());
}

TEST(ResultJsonTest, SchemaRefusesMissingForeignAndWrongValues) {
  Validator validator(Schema());
  Json json = Json::parse(ResultJson(Sample()));
  json["trials"][0].erase("variant");
  json["verdict"]["colour"] = "green";
  json["seed"] = "seven";
  json["verdict"]["findings"][0]["state"] = "green";
  EXPECT_THAT(validator.Check(json), ::testing::SizeIs(4));
}

TEST(ResultJsonTest, SchemaRequiresEveryKeyItKnows) {
  const Json schema = Schema();  // items() refers to it
  for (const auto& [name, definition] : schema["$defs"].items()) {
    if (!definition.contains("properties")) continue;
    std::set<std::string> known, required;
    for (const auto& [key, ignored] : definition["properties"].items()) known.insert(key);
    for (const Json& key : definition["required"]) required.insert(key);
    EXPECT_EQ(known, required) << name;
  }
}

TEST(ResultJsonTest, RoundTripKeepsEverything) {
  const std::string text = ResultJson(Sample());
  const absl::StatusOr<Report> read = ParseResult(text, "result.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ResultJson(*read), text);
  EXPECT_EQ(read->run.trials.size(), Sample().run.trials.size());
  EXPECT_TRUE(read->run.trials[0].ops.empty());
  EXPECT_EQ(read->run.verdict.values[3].value, std::nullopt);
  EXPECT_EQ(read->timelines[1].buckets[20].p99_s, Sample().timelines[1].buckets[20].p99_s);
}

TEST(ResultJsonTest, NumbersThatJsonLacksAreNull) {
  Report report = Sample();
  report.run.trials[0].finals["ratio"] = INFINITY;
  report.run.trials[0].series[0].samples.emplace_back(3, NAN);
  const std::string text = ResultJson(report);
  EXPECT_TRUE(Json::parse(text)["trials"][0]["finals"]["ratio"].is_null());
  EXPECT_EQ(ResultJson(*ParseResult(text, "x")), text);
}

TEST(ResultJsonTest, ProblemsOfTheHostAreMarkedAndEarlierResultsHaveNoMark) {
  Report report = Sample();
  report.run.trials[0].problems = {"stolen", "redis died"};
  report.run.trials[0].host_problems = {"stolen"};
  report.run.trials[0].disturbed = {"starved"};
  Json json = Json::parse(ResultJson(report));
  EXPECT_EQ(json["trials"][0]["host_problems"], Json({"stolen"}));
  EXPECT_EQ(ParseResult(json.dump(), "x")->run.trials[0].host_problems, std::vector<std::string>{"stolen"});
  EXPECT_EQ(ParseResult(json.dump(), "x")->run.trials[0].disturbed, std::vector<std::string>{"starved"});
  for (Json& trial : json["trials"]) trial.erase("host_problems");
  EXPECT_EQ(ParseResult(json.dump(), "x")->run.trials[0].problems.size(), 2u);
}

TEST(ResultJsonTest, TextThatIsNoUtf8StaysValidJson) {
  Report report = Sample();
  report.run.trials[0].problems = {"bad \xff byte, \"quote\", </script>, \x01"};
  const std::string text = ResultJson(report);
  const Json json = Json::parse(text);
  EXPECT_THAT(json["trials"][0]["problems"][0].get<std::string>(), HasSubstr("\"quote\", </script>"));
}

TEST(ResultJsonTest, ErrorsNameFileAndPlace) {
  const auto message = [](const std::string& text) {
    return std::string(ParseResult(text, "a/result.json").status().message());
  };
  EXPECT_THAT(message("{"), HasSubstr("a/result.json"));
  EXPECT_THAT(message("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(message("{}"), HasSubstr("schema"));
  EXPECT_EQ(ParseResult(R"({"schema": "lab-result/2"})", "x").status().code(), absl::StatusCode::kFailedPrecondition);
  Json json = Json::parse(ResultJson(Sample()));
  json["trials"][0]["faults"][0].erase("seen_s");
  EXPECT_THAT(message(json.dump()), HasSubstr("trials: faults: the key \"seen_s\" is missing"));
  json = Json::parse(ResultJson(Sample()));
  json["timelines"][0]["ok"].erase(0);
  EXPECT_THAT(message(json.dump()), HasSubstr("ok"));
  json = Json::parse(ResultJson(Sample()));
  json["timelines"].erase(0);
  EXPECT_THAT(message(json.dump()), HasSubstr("timelines"));
}

TEST(ResultJsonTest, HeadlineIsReadWithoutTheTrials) {
  const std::string folder = ::testing::TempDir() + "/headline-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(WriteFileAtomic(folder + "/result.json", ResultJson(Sample())).ok());
  const absl::StatusOr<RunHeadline> headline = ReadHeadline(folder);
  ASSERT_TRUE(headline.ok()) << headline.status();
  EXPECT_EQ(headline->lab, "rate-limit-outage");
  EXPECT_EQ(headline->state, State::kPass);
  EXPECT_EQ(headline->predictions.size(), 2u);
  const absl::StatusOr<Report> report = ReadReport(folder);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->run.folder, folder);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lab::bench
