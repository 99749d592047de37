#include "services/runtime/pg/array_text.h"

namespace lab::pg {

void ArrayText::Separate() {
  if (closed_) text_.pop_back();
  closed_ = false;
  if (size_++ > 0) text_ += ',';
}

void ArrayText::Add(std::string_view element) {
  Separate();
  text_ += '"';
  for (const char c : element) {
    if (c == '"' || c == '\\') text_ += '\\';
    text_ += c;
  }
  text_ += '"';
}

void ArrayText::Add(int64_t element) {
  Separate();
  text_ += std::to_string(element);
}

void ArrayText::AddNull() {
  Separate();
  text_ += "NULL";
}

std::string_view ArrayText::text() {
  if (!closed_) text_ += '}';
  closed_ = true;
  return text_;
}

void ArrayText::Clear() {
  text_.resize(1);
  size_ = 0;
  closed_ = false;
}

}  // namespace lab::pg
