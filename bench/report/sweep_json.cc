#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "bench/report/sweep.h"

namespace lab::bench {
namespace {

using Json = nlohmann::ordered_json;

Json Number(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json EstimateJson(const std::string& variant, const std::string& value, const SweepEstimate& estimate) {
  Json json = {{"variant", variant},
               {"value", value},
               {"unit", estimate.unit},
               {"median", Number(estimate.median)},
               {"at_least", estimate.at_least},
               {"low", Number(estimate.low)},
               {"high", Number(estimate.high)},
               {"high_at_least", estimate.high_at_least},
               {"coverage", estimate.coverage},
               {"samples", estimate.samples},
               {"complete", estimate.complete()},
               {"blocks", Json::array()}};
  for (const SweepBlock& block : estimate.blocks) {
    json["blocks"].push_back(
        {{"repeat", block.repeat}, {"value", Number(block.value)}, {"at_least", block.at_least}, {"why", block.why}});
  }
  return json;
}

Json PointJson(const Sweep& sweep, const SweepPoint& point) {
  Json json = {{"knob", point.value}, {"x", Number(point.x)}, {"values", Json::array()}, {"findings", Json::array()}};
  for (const VariantInfo& variant : sweep.variants) {
    for (const ValueInfo& value : sweep.values) {
      const SweepEstimate* estimate = FindEstimate(point, variant.name, value.name);
      if (estimate != nullptr) json["values"].push_back(EstimateJson(variant.name, value.name, *estimate));
    }
  }
  for (const Finding& finding : point.findings) {
    json["findings"].push_back({{"rule", finding.rule},
                                {"text", finding.text},
                                {"variant", finding.variant},
                                {"state", absl::AsciiStrToLower(StateWord(finding.state))},
                                {"measured", finding.measured},
                                {"why", finding.why}});
  }
  json["problems"] = point.problems;
  json["host_problems"] = point.host_problems;
  return json;
}

}  // namespace

std::string SweepJson(const Sweep& sweep) {
  Json json = {{"schema", "lab-sweep/1"},
               {"exit_status", ExitStatus(sweep)},
               {"lab", sweep.lab},
               {"title", sweep.title},
               {"question", sweep.question},
               {"started", sweep.started},
               {"duration_s", sweep.duration_s},
               {"seed", sweep.seed},
               {"quick", sweep.quick},
               {"interrupted", sweep.interrupted},
               {"blocks", sweep.blocks},
               {"command", sweep.command},
               {"revision", sweep.revision},
               {"host", sweep.host},
               {"changed", sweep.changed},
               {"load", sweep.load},
               {"comparisons", ComparisonsOf(sweep)},
               {"blocks_to_tell", BlocksToTell(sweep)},
               {"knob", {{"name", sweep.knob.name()}, {"type", sweep.knob.type}, {"doc", sweep.knob.doc}}},
               {"values", Json::array()},
               {"variants", Json::array()},
               {"points", Json::array()},
               {"lacking", Lacking(sweep)}};
  for (const ValueInfo& value : sweep.values) {
    const std::optional<bool> moves = Moves(sweep, value.name);
    json["values"].push_back({{"name", value.name},
                              {"label", value.label},
                              {"expression", value.expression},
                              {"moves", moves ? Json(*moves) : Json(nullptr)}});
  }
  for (const VariantInfo& variant : sweep.variants) {
    json["variants"].push_back({{"name", variant.name}, {"note", variant.note}, {"broken", variant.broken}});
  }
  for (const SweepPoint& point : sweep.points) json["points"].push_back(PointJson(sweep, point));
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lab::bench
