// SPDX-License-Identifier: Apache-2.0
#include "tests/parity/ptx_program.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace stampede::ptx {
namespace {

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string without_comments(const std::string& text) {
  std::string result;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) result += line.substr(0, line.find("//")) + '\n';
  return result;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(trimmed(part));
  return parts;
}

// At commas that are not inside of braces.
std::vector<std::string> split_operands(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '{') - (c == '}');
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  for (std::string& part : parts) part = trimmed(part);
  return parts;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// A declaration such as `.param .align 8 .b8 name[152]` or `.param .u32 name`: its name and size.
Parameter parse_declaration(const std::string& text) {
  const std::vector<std::string> words = words_of(text);
  const std::string& name = words.back();
  const std::string type = words.size() < 2 ? "" : words[words.size() - 2];
  if (type.empty() || !is_type(type.substr(1))) throw std::runtime_error("PTX: cannot read '" + text + "'");
  const auto bytes = static_cast<std::size_t>(parse_type(type.substr(1)).bits / 8);
  const std::size_t bracket = name.find('[');
  if (bracket == std::string::npos) return {name, bytes};
  return {name.substr(0, bracket), bytes * std::stoul(name.substr(bracket + 1))};
}

class KernelParser {
 public:
  Kernel parse(const std::string& name, const std::string& parameters, const std::string& body) {
    kernel_.name = name;
    for (const std::string& line : split(parameters, ',')) {
      if (!line.empty()) kernel_.parameters.push_back(parse_declaration(line));
    }
    std::istringstream in(body);
    for (std::string statement; std::getline(in, statement, ';');) parse_statement(trimmed(statement));
    for (Instruction& instruction : kernel_.code) {
      if (instruction.op == "bra") instruction.target = labels_.at(instruction.operands.at(0).name);
    }
    kernel_.registers = static_cast<int>(registers_.size());
    return kernel_;
  }

 private:
  void parse_statement(std::string statement) {
    while (!statement.empty() && statement[0] == '$') {
      const std::size_t colon = statement.find(':');
      if (colon == std::string::npos) throw std::runtime_error("PTX: cannot read '" + statement + "'");
      labels_[statement.substr(0, colon)] = kernel_.code.size();
      statement = trimmed(statement.substr(colon + 1));
    }
    if (statement.rfind(".local", 0) == 0) {
      const Parameter array = parse_declaration(statement);
      kernel_.local[array.name] = array.bytes;
    }
    if (statement.empty() || statement[0] == '.') return;
    kernel_.code.push_back(parse_instruction(statement));
  }

  // `@!%p1 op.modifiers operands`
  Instruction parse_instruction(const std::string& statement) {
    Instruction instruction;
    instruction.text = statement;
    std::string rest = statement;
    if (rest[0] == '@') {
      const std::size_t space = rest.find_first_of(" \t");
      instruction.guard_negated = rest[1] == '!';
      const std::size_t name = instruction.guard_negated ? 2 : 1;
      instruction.guard = register_index(rest.substr(name, space - name));
      rest = trimmed(rest.substr(space));
    }
    const std::size_t space = rest.find_first_of(" \t");
    instruction.modifiers = split(rest.substr(0, space), '.');
    instruction.op = instruction.modifiers.front();
    instruction.modifiers.erase(instruction.modifiers.begin());
    for (const std::string& modifier : instruction.modifiers) {
      if (is_type(modifier)) instruction.types.push_back(parse_type(modifier));
    }
    if (space == std::string::npos) return instruction;
    for (const std::string& operand : split_operands(rest.substr(space))) {
      instruction.operands.push_back(parse_operand(operand));
    }
    return instruction;
  }

  Operand parse_operand(const std::string& text) {
    Operand operand;
    if (text[0] == '!') {
      operand = parse_operand(text.substr(1));
      operand.negated = true;
    } else if (text[0] == '{') {
      operand.kind = Operand::Kind::kVector;
      for (const std::string& part : split(text.substr(1, text.size() - 2), ',')) {
        operand.parts.push_back(parse_operand(part));
      }
    } else if (text[0] == '[') {
      parse_address(text.substr(1, text.size() - 2), operand);
    } else if (text[0] == '%') {
      const bool special = text.find('.') != std::string::npos;
      operand.kind = special ? Operand::Kind::kSpecial : Operand::Kind::kRegister;
      operand.name = text;
      if (!special) operand.index = register_index(text);
    } else if (std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-') {
      operand.value = parse_immediate(text);
    } else {
      operand.kind = Operand::Kind::kSymbol;
      operand.name = text;
    }
    return operand;
  }

  void parse_address(const std::string& text, Operand& operand) {
    const std::size_t plus = text.find('+');
    const std::string base = trimmed(text.substr(0, plus));
    operand.kind = Operand::Kind::kAddress;
    operand.name = base;
    operand.index = base[0] == '%' ? register_index(base) : -1;
    operand.value = plus == std::string::npos ? 0 : static_cast<std::uint64_t>(std::stoll(text.substr(plus + 1)));
  }

  // 0f3F800000 and 0d... are the bits of a float or double.
  static std::uint64_t parse_immediate(const std::string& text) {
    const bool bits = text.size() > 2 && text[0] == '0' && std::string("fFdD").find(text[1]) != std::string::npos;
    if (bits) return std::stoull(text.substr(2), nullptr, 16);
    return text[0] == '-' ? static_cast<std::uint64_t>(std::stoll(text, nullptr, 0)) : std::stoull(text, nullptr, 0);
  }

  int register_index(const std::string& name) {
    return registers_.emplace(name, static_cast<int>(registers_.size())).first->second;
  }

  Kernel kernel_;
  std::map<std::string, int> registers_;
  std::map<std::string, std::size_t> labels_;
};

}  // namespace

bool is_type(const std::string& text) {
  if (text == "pred") return true;
  if (text.size() < 2 || std::string("busf").find(text[0]) == std::string::npos) return false;
  const std::string bits = text.substr(1);
  return bits == "8" || bits == "16" || bits == "32" || bits == "64";
}

Type parse_type(const std::string& text) {
  if (text == "pred") return {'p', 1};
  return {text[0], std::stoi(text.substr(1))};
}

bool Instruction::has(const std::string& modifier) const {
  return std::find(modifiers.begin(), modifiers.end(), modifier) != modifiers.end();
}

std::vector<Kernel> parse_module(const std::string& module) {
  const std::string text = without_comments(module);
  std::vector<Kernel> kernels;
  for (std::size_t at = text.find(".entry "); at != std::string::npos; at = text.find(".entry ", at + 1)) {
    const std::size_t open = text.find('(', at), close = text.find("\n)", open);
    const std::size_t body = text.find('{', close), end = text.find("\n}", body);
    if (end == std::string::npos) throw std::runtime_error("PTX: a kernel does not end");
    const std::string name = trimmed(text.substr(at + 7, open - at - 7));
    kernels.push_back(
        KernelParser().parse(name, text.substr(open + 1, close - open - 1), text.substr(body + 1, end - body - 1)));
  }
  return kernels;
}

}  // namespace stampede::ptx
