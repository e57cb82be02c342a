// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/syntax.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "tests/soft_gpu/fault.h"

namespace stampede::soft_gpu {
namespace {

constexpr std::string_view kBlanks = " \t\n\r";

[[noreturn]] void cannot_read(std::string_view text) {
  throw Fault(Fault::Kind::kBadInstruction, "cannot read PTX '" + std::string(text.substr(0, 120)) + "'");
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Comments become blanks, so that lines keep their numbers.
std::string without_comments(std::string_view ptx) {
  std::string text(ptx);
  for (std::size_t at = text.find('/'); at != std::string::npos; at = text.find('/', at + 1)) {
    if (text.compare(at, 2, "//") == 0) {
      for (; at < text.size() && text[at] != '\n'; ++at) text[at] = ' ';
    } else if (text.compare(at, 2, "/*") == 0) {
      const std::size_t end = std::min(text.find("*/", at + 2), text.size() - 2) + 2;
      for (; at < end; ++at) text[at] = text[at] == '\n' ? '\n' : ' ';
    }
  }
  return text;
}

// Splits at commas outside of brackets.
std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (c == '{' || c == '[' || c == '(') ++depth;
    if (c == '}' || c == ']' || c == ')') --depth;
    if (c != ',' || (depth > 0 && i < text.size())) continue;
    const std::string_view part = trimmed(text.substr(start, i - start));
    if (!part.empty()) parts.push_back(part);
    start = i + 1;
  }
  return parts;
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) cannot_read(text);
  return value;
}

// `name`, `name[12]` or `%r<12>`
void parse_name(std::string_view text, Declaration& declaration) {
  const std::size_t open = text.find_first_of("[<");
  declaration.name = text.substr(0, open);
  if (open == std::string_view::npos) return;
  const std::string_view count = text.substr(open + 1, text.size() - open - 2);
  declaration.sized = !count.empty();
  declaration.count = declaration.sized ? number(count) : 0;
}

Declaration parse_declaration(std::string_view text) {
  Declaration declaration;
  const std::vector<std::string_view> words = split_words(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == ".extern" || word == ".visible" || word == ".weak") continue;
    if (word == ".align") {
      declaration.alignment = number(words.at(++i));
    } else if (word[0] != '.') {
      parse_name(word, declaration);
    } else if (declaration.space.empty()) {
      declaration.space = word;
    } else {
      declaration.type = word.substr(1);
    }
  }
  if (declaration.name.empty()) cannot_read(text);
  const std::size_t size = type_bytes(declaration.type);
  declaration.bytes = size * declaration.count;
  declaration.alignment = std::max(declaration.alignment, size);
  return declaration;
}

std::vector<Declaration> parse_declarations(std::string_view list) {
  std::vector<Declaration> declarations;
  for (const std::string_view part : split_list(list)) declarations.push_back(parse_declaration(part));
  return declarations;
}

Instruction parse_instruction(std::string_view text, unsigned line) {
  Instruction instruction;
  instruction.text = text;
  instruction.line = line;
  if (text[0] == '@') {
    const std::size_t space = text.find_first_of(kBlanks);
    instruction.guard_negated = text[1] == '!';
    const std::size_t name = instruction.guard_negated ? 2 : 1;
    instruction.guard = text.substr(name, space - name);
    text = trimmed(text.substr(space));
  }
  const std::size_t space = std::min(text.find_first_of(kBlanks), text.size());
  std::string_view name = text.substr(0, space);
  instruction.opcode = name.substr(0, name.find('.'));
  while (name.find('.') != std::string_view::npos) {
    name.remove_prefix(name.find('.') + 1);
    instruction.modifiers.push_back(name.substr(0, name.find('.')));
  }
  instruction.operands = split_list(text.substr(space));
  return instruction;
}

constexpr std::string_view kUsedBytes = "\"used_bytes_mask ";

// One statement without its semicolon. False when it means nothing to the machine.
bool parse_statement(std::string_view text, unsigned line, Statement& statement) {
  if (text[0] != '.') {
    statement.kind = Statement::Kind::kInstruction;
    statement.instruction = parse_instruction(text, line);
    return true;
  }
  if (text.starts_with(".pragma")) {
    const std::size_t at = text.find(kUsedBytes);
    if (at == std::string_view::npos) return false;
    statement.kind = Statement::Kind::kUsedBytes;
    const std::string_view mask = text.substr(at + kUsedBytes.size());
    statement.used_bytes = static_cast<unsigned>(number(mask.substr(0, mask.find('"'))));
    return true;
  }
  if (text.starts_with(".loc ") || text.starts_with(".file ")) return false;
  statement.kind = Statement::Kind::kDeclaration;
  statement.declaration = parse_declaration(text);
  return true;
}

// Where the bracket at `open` closes.
std::size_t closing(std::string_view text, std::size_t open, char opening, char close) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == opening) ++depth;
    if (text[i] == close && --depth == 0) return i;
  }
  cannot_read(text.substr(open));
}

// Reads `(results) name (parameters) directives {body}` and returns where it ends.
std::size_t parse_function(std::string_view text, std::size_t at, FunctionText& function, bool& has_body) {
  at = text.find_first_not_of(kBlanks, at);
  if (text[at] == '(') {
    const std::size_t close = closing(text, at, '(', ')');
    function.results = parse_declarations(text.substr(at + 1, close - at - 1));
    at = text.find_first_not_of(kBlanks, close + 1);
  }
  const std::size_t name_end = text.find_first_of(" \t\n\r({;", at);
  function.name = text.substr(at, name_end - at);
  at = text.find_first_not_of(kBlanks, name_end);
  if (text[at] == '(') {
    const std::size_t close = closing(text, at, '(', ')');
    function.parameters = parse_declarations(text.substr(at + 1, close - at - 1));
    at = close + 1;
  }
  const std::size_t end = text.find_first_of("{;", at);
  const std::string_view directives = text.substr(at, end - at);
  if (const std::size_t limit = directives.find(".maxntid"); limit != std::string_view::npos) {
    const std::string_view value = trimmed(directives.substr(limit + 8));
    function.max_threads = static_cast<unsigned>(number(value.substr(0, value.find_first_of(", \n"))));
  }
  has_body = text[end] == '{';
  if (!has_body) return end;
  const std::size_t close = closing(text, end, '{', '}');
  function.body = text.substr(end + 1, close - end - 1);
  return close;
}

}  // namespace

bool Instruction::has(std::string_view modifier) const {
  return std::find(modifiers.begin(), modifiers.end(), modifier) != modifiers.end();
}

std::string_view Instruction::type(std::size_t from_last) const {
  for (auto it = modifiers.rbegin(); it != modifiers.rend(); ++it) {
    if (type_bytes(*it) == 0 && *it != "pred") continue;
    if (from_last-- == 0) return *it;
  }
  return {};
}

std::size_t type_bytes(std::string_view type) {
  if (type.size() < 2 || std::string_view("busf").find(type[0]) == std::string_view::npos) return 0;
  const std::string_view bits = type.substr(1);
  return bits == "8" ? 1 : bits == "16" ? 2 : bits == "32" ? 4 : bits == "64" ? 8 : 0;
}

std::vector<std::string_view> vector_parts(std::string_view operand) {
  if (operand.empty() || (operand[0] != '{' && operand[0] != '(')) return {operand};
  return split_list(operand.substr(1, operand.size() - 2));
}

std::vector<Statement> parse_body(const FunctionText& function) {
  std::vector<Statement> statements;
  const std::string_view body = function.body;
  unsigned line = function.line;
  std::size_t counted = 0;
  for (std::size_t at = 0; (at = body.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    line += static_cast<unsigned>(std::count(body.begin() + static_cast<std::ptrdiff_t>(counted),
                                             body.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    counted = at;
    if (body[at] == '{' || body[at] == '}') {  // a scope of declarations, whose names stay unique here
      ++at;
      continue;
    }
    Statement statement;
    const std::size_t end = body.find_first_of(";:", at);
    if (end == std::string_view::npos) cannot_read(body.substr(at));
    const std::string_view text = trimmed(body.substr(at, end - at));
    if (body[end] == ':') {
      statement.kind = Statement::Kind::kLabel;
      statement.label = text;
      statements.push_back(statement);
    } else if (parse_statement(text, line, statement)) {
      statements.push_back(statement);
    }
    at = end + 1;
  }
  return statements;
}

ModuleText::ModuleText(std::string_view ptx) : text(without_comments(ptx)) {
  const std::string_view all = text;
  unsigned line = 1;
  std::size_t counted = 0;
  for (std::size_t at = 0; (at = all.find('.', at)) != std::string_view::npos;) {
    const bool entry = all.compare(at, 7, ".entry ") == 0;
    if (entry || all.compare(at, 6, ".func ") == 0) {
      FunctionText function;
      bool has_body = false;
      const std::size_t end = parse_function(all, at + 6, function, has_body);
      if (has_body) {
        const auto body = function.body.data() - all.data();
        line += static_cast<unsigned>(
            std::count(all.begin() + static_cast<std::ptrdiff_t>(counted), all.begin() + body, '\n'));
        counted = static_cast<std::size_t>(body);
        function.line = line;
        (entry ? entries : functions)[function.name] = function;
      }
      at = end;
    } else if (all.compare(at, 8, ".shared ") == 0) {
      const std::size_t end = all.find(';', at);
      const Declaration declaration = parse_declaration(all.substr(at, end - at));
      shared[declaration.name] = declaration;
      at = end;
    } else {
      ++at;
    }
  }
}

}  // namespace stampede::soft_gpu
