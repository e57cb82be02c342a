// SPDX-License-Identifier: Apache-2.0
#include "tests/soft_gpu/register_allocation.h"

#include <algorithm>
#include <numeric>

#include "tests/soft_gpu/operations.h"

namespace stampede::soft_gpu {
namespace {

constexpr std::size_t kSlotBytes = kLanes * sizeof(std::uint32_t);
constexpr std::size_t kTileOperands = 14, kTileResults = 4;

bool is_product(const Op& op) { return op.execute == &multiply_tiles; }

// Calls visit(slot, is_write) for the registers of an instruction: what it reads first.
void for_each_register(Code& code, std::size_t i, const SlotUses& uses, const auto& visit) {
  Op& op = code.ops[i];
  for (std::size_t k = 0; k < op.slot.size(); ++k) {
    if ((uses.reads >> k & 1) != 0) visit(op.slot[k], false);
  }
  if (is_product(op)) {
    for (std::size_t k = kTileResults; k < kTileOperands; ++k) visit(code.lists[op.target + k], false);
    for (std::size_t k = 0; k < kTileResults; ++k) visit(code.lists[op.target + k], true);
  }
  for (std::size_t k = 0; k < op.slot.size(); ++k) {
    if ((uses.writes >> k & 1) != 0) visit(op.slot[k], true);
  }
}

class BitRows {
 public:
  BitRows(std::size_t rows, std::size_t bits) : words_((bits + 63) / 64), data_(rows * words_) {}
  std::uint64_t* row(std::size_t i) { return data_.data() + i * words_; }
  std::size_t words() const { return words_; }
  bool has(std::size_t i, std::size_t bit) const { return (data_[i * words_ + bit / 64] >> (bit % 64) & 1) != 0; }
  void set(std::size_t i, std::size_t bit) { data_[i * words_ + bit / 64] |= std::uint64_t{1} << (bit % 64); }

 private:
  std::size_t words_;
  std::vector<std::uint64_t> data_;
};

// A piece of code that is entered at its begin and left at its end.
struct Stretch {
  std::size_t begin, end;
  std::vector<std::size_t> next;  // stretches that may follow
};

std::vector<Stretch> stretches_of(const Code& code) {
  const std::size_t n = code.ops.size();
  const auto is_branch = [&](const Op& op) { return op.execute == &branch; };
  std::vector<std::size_t> number(n + 1);
  for (std::size_t i = 0; i < n; ++i) {
    const Op& op = code.ops[i];
    if (is_branch(op)) number[op.target] = 1;
    if (is_branch(op) || op.execute == &leave) number[i + 1] = 1;
  }
  number[0] = 0;
  std::partial_sum(number.begin(), number.end(), number.begin());
  std::vector<Stretch> stretches(number[n - 1] + 1);
  for (std::size_t i = n; i-- > 0;) stretches[number[i]].begin = i;
  for (std::size_t i = 0; i < n; ++i) stretches[number[i]].end = i + 1;
  for (Stretch& stretch : stretches) {
    const Op& last = code.ops[stretch.end - 1];
    const bool goes_on = last.guard >= 0 || (!is_branch(last) && last.execute != &leave);
    if (goes_on && stretch.end < n) stretch.next.push_back(number[stretch.end]);
    if (is_branch(last) && last.target < n) stretch.next.push_back(number[last.target]);
  }
  return stretches;
}

// From the first to the last instruction at which a register is needed.
struct Interval {
  std::size_t begin = static_cast<std::size_t>(-1), end = 0;
  void cover(std::size_t from, std::size_t to) {
    begin = std::min(begin, from);
    end = std::max(end, to);
  }
};

class Allocator {
 public:
  Allocator(Code& code, const std::vector<SlotUses>& uses, const std::vector<SlotKind>& kinds)
      : code_(code),
        uses_(uses),
        kinds_(kinds),
        stretches_(stretches_of(code)),
        live_in_(stretches_.size(), kinds.size()),
        live_out_(stretches_.size(), kinds.size()),
        intervals_(kinds.size()),
        places_(kinds.size()) {}

  void run() {
    find_live();
    find_intervals();
    place_fixed();
    place_registers();
    rename();
  }

 private:
  bool is_register(std::size_t slot) const {
    return kinds_[slot] == SlotKind::kWord || kinds_[slot] == SlotKind::kWide;
  }

  // Which registers are read after a place before they are written.
  void find_live() {
    BitRows written(stretches_.size(), kinds_.size());
    for (std::size_t s = 0; s < stretches_.size(); ++s) {
      for (std::size_t i = stretches_[s].begin; i < stretches_[s].end; ++i) {
        for_each_register(code_, i, uses_[i], [&](Slot slot, bool is_write) {
          if (is_write) return written.set(s, slot / kSlotBytes);
          if (!written.has(s, slot / kSlotBytes)) live_in_.set(s, slot / kSlotBytes);
        });
      }
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t s = stretches_.size(); s-- > 0;) changed = update_live(s, written) || changed;
    }
  }

  bool update_live(std::size_t s, BitRows& written) {
    std::uint64_t *in = live_in_.row(s), *out = live_out_.row(s);
    for (const std::size_t next : stretches_[s].next) {
      for (std::size_t w = 0; w < live_in_.words(); ++w) out[w] |= live_in_.row(next)[w];
    }
    bool changed = false;
    for (std::size_t w = 0; w < live_in_.words(); ++w) {
      const std::uint64_t more = in[w] | (out[w] & ~written.row(s)[w]);
      changed = changed || more != in[w];
      in[w] = more;
    }
    return changed;
  }

  void find_intervals() {
    for (std::size_t s = 0; s < stretches_.size(); ++s) {
      const auto [begin, end, next] = stretches_[s];
      for (std::size_t i = begin; i < end; ++i) {
        for_each_register(code_, i, uses_[i], [&](Slot slot, bool) { intervals_[slot / kSlotBytes].cover(i, i); });
      }
      for (std::size_t r = 0; r < kinds_.size(); ++r) {
        if (live_in_.has(s, r)) intervals_[r].cover(begin, begin);
        if (live_out_.has(s, r)) intervals_[r].cover(end - 1, end);
      }
    }
  }

  Slot new_place(bool wide) {
    const std::size_t place = bytes_;
    bytes_ += wide ? 2 * kSlotBytes : kSlotBytes;
    return static_cast<Slot>(place);
  }

  void place_fixed() {
    for (std::size_t r = 0; r < kinds_.size(); ++r) {
      if (kinds_[r] == SlotKind::kFixed || kinds_[r] == SlotKind::kFixedWide) {
        places_[r] = new_place(kinds_[r] == SlotKind::kFixedWide);
      }
    }
  }

  // Linear scan. An instruction may write where it reads, as lanes keep to themselves; two results stay apart.
  void place_registers() {
    std::vector<std::size_t> order;
    for (std::size_t r = 0; r < kinds_.size(); ++r) {
      if (is_register(r) && intervals_[r].begin <= intervals_[r].end) order.push_back(r);
    }
    const auto begin_of = [&](std::size_t r) { return intervals_[r].begin; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return begin_of(a) < begin_of(b); });
    std::vector<std::size_t> living;
    std::vector<Slot> free[2];
    for (const std::size_t r : order) {
      std::erase_if(living, [&](std::size_t other) {
        const bool over = intervals_[other].end <= begin_of(r) && begin_of(other) < begin_of(r);
        if (over) free[kinds_[other] == SlotKind::kWide ? 1 : 0].push_back(places_[other]);
        return over;
      });
      const bool wide = kinds_[r] == SlotKind::kWide;
      std::vector<Slot>& places = free[wide ? 1 : 0];
      if (places.empty()) places.push_back(new_place(wide));
      places_[r] = places.back();
      places.pop_back();
      living.push_back(r);
    }
  }

  void rename() {
    const auto renamed = [&](Slot& slot) { slot = places_[slot / kSlotBytes]; };
    for (std::size_t i = 0; i < code_.ops.size(); ++i) {
      for (std::size_t k = 0; k < code_.ops[i].slot.size(); ++k) {
        if (((uses_[i].reads | uses_[i].writes) >> k & 1) != 0) renamed(code_.ops[i].slot[k]);
      }
    }
    for (Slot& slot : code_.lists) renamed(slot);
    for (Code::Constant& constant : code_.constants) renamed(constant.slot);
    for (Slot* slot : {&code_.thread, &code_.threads, &code_.block, &code_.blocks}) renamed(*slot);
    code_.register_bytes = bytes_;
  }

  Code& code_;
  const std::vector<SlotUses>& uses_;
  const std::vector<SlotKind>& kinds_;
  std::vector<Stretch> stretches_;
  BitRows live_in_, live_out_;
  std::vector<Interval> intervals_;  // by virtual slot
  std::vector<Slot> places_;
  std::size_t bytes_ = 0;
};

}  // namespace

void allocate_registers(Code& code, const std::vector<SlotUses>& uses, const std::vector<SlotKind>& kinds) {
  Allocator(code, uses, kinds).run();
}

}  // namespace stampede::soft_gpu
