#pragma once

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// Both directions of a struct ↔ JSON mapping from one list of fields, so that what is written is what is read:
//   template <typename Archive> void Fields(Archive& archive, Phase& phase) { archive("name", phase.name); … }
// Every field is always written; reading demands each key and the right type (std::exception otherwise).
namespace lab::bench::archive {

using Json = nlohmann::ordered_json;

class Writer {
 public:
  template <typename T>
  void operator()(const char* key, T& value) {
    json_[key] = ToJson(value);
  }
  template <typename T>
  void Added(const char* key, T& value) {
    (*this)(key, value);
  }
  Json Take() { return std::move(json_); }

  static Json ToJson(const std::string& value) { return value; }
  static Json ToJson(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
  template <typename T>
  static Json ToJson(const std::optional<T>& value) {
    return value ? ToJson(*value) : Json(nullptr);
  }
  static Json ToJson(const std::pair<double, double>& value) {
    return Json::array({ToJson(value.first), ToJson(value.second)});
  }
  template <typename T>
  static Json ToJson(const std::vector<T>& values) {
    Json array = Json::array();
    for (const T& value : values) array.push_back(ToJson(value));
    return array;
  }
  template <typename T>
  static Json ToJson(const std::map<std::string, T>& values) {
    Json object = Json::object();
    for (const auto& [key, value] : values) object[key] = ToJson(value);
    return object;
  }
  template <typename T>
  static Json ToJson(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      return NameOf(value);
    } else if constexpr (std::is_arithmetic_v<T>) {
      return value;
    } else {
      Writer writer;
      Fields(writer, const_cast<T&>(value));  // one list of fields for both directions; a writer only reads
      return writer.Take();
    }
  }

 private:
  Json json_ = Json::object();
};

class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  template <typename T>
  void operator()(const char* key, T& value) {
    const auto found = json_.find(key);
    if (found == json_.end()) throw std::runtime_error(std::string("the key \"") + key + "\" is missing");
    try {
      FromJson(*found, value);
    } catch (const std::exception& error) {
      throw std::runtime_error(std::string(key) + ": " + error.what());
    }
  }

  // A key that results of earlier builds lack: then the value stays as it is.
  template <typename T>
  void Added(const char* key, T& value) {
    if (json_.contains(key)) (*this)(key, value);
  }

  static void FromJson(const Json& json, std::string& value) { value = json.get<std::string>(); }
  static void FromJson(const Json& json, double& value) { value = json.is_null() ? NAN : json.get<double>(); }
  template <typename T>
  static void FromJson(const Json& json, std::optional<T>& value) {
    value.reset();
    if (!json.is_null()) FromJson(json, value.emplace());
  }
  static void FromJson(const Json& json, std::pair<double, double>& value) {
    FromJson(json.at(0), value.first);
    FromJson(json.at(1), value.second);
  }
  template <typename T>
  static void FromJson(const Json& json, std::vector<T>& values) {
    if (!json.is_array()) throw std::runtime_error("a list is needed");
    values.assign(json.size(), T());
    for (size_t i = 0; i < json.size(); ++i) FromJson(json[i], values[i]);
  }
  template <typename T>
  static void FromJson(const Json& json, std::map<std::string, T>& values) {
    values.clear();
    for (const auto& [key, item] : json.items()) FromJson(item, values[key]);
  }
  template <typename T>
  static void FromJson(const Json& json, T& value) {
    if constexpr (std::is_enum_v<T>) {
      FromName(json.get<std::string>(), value);
    } else if constexpr (std::is_same_v<T, bool>) {
      value = json.get<bool>();
    } else if constexpr (std::is_arithmetic_v<T>) {
      if (!json.is_number_integer()) throw std::runtime_error("an integer is needed");
      value = json.get<T>();
    } else {
      if (!json.is_object()) throw std::runtime_error("an object is needed");
      Reader reader(json);
      Fields(reader, value);
    }
  }

 private:
  const Json& json_;
};

}  // namespace lab::bench::archive
