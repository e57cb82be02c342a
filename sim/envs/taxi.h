// SPDX-License-Identifier: Apache-2.0
// https://github.com/Farama-Foundation/Gymnasium/blob/main/gymnasium/envs/toy_text/taxi.py
//
// Taxi: fetch a passenger at one of four landmarks and bring them to another (Dietterich 2000).
//
//   |R: | : :G|   landmarks 0 R, 1 G, 2 Y, 3 B; `:` is open, `|` a wall
//   | : | : : |
//   | : : : : |
//   | | : | : |
//   |Y| : |B: |
//
// | part        | value                                                                                            |
// |-------------|--------------------------------------------------------------------------------------------------|
// | observation | s = ((row * 5 + column) * 5 + passenger) * 4 + destination; passenger 4 = in the taxi            |
// | action      | 0 south, 1 north, 2 east, 3 west (a wall stops), 4 pick up, 5 drop off                            |
// | is_rainy    | a possible move goes left or right of its heading with probability (1 - rainy_probability)/2 each |
// | fickle_pas- | with fickle_probability per episode the passenger changes the destination, uniformly among the    |
// | senger      | three others, on the first real move of the taxi with them aboard                                 |
// | reward      | -1; +20 delivery; -10 illegal pick up or drop off. A drop at a wrong landmark is legal            |
// | start       | uniform among the 300 states with passenger at a landmark other than the destination             |
// | terminated  | delivery                                                                                         |
// | truncated   | after 200 steps                                                                                  |
//
// Taxi-v3 is the same without rain and fickleness. Whether this episode's passenger is still fickle is hidden state,
// which Gymnasium's transition table leaves out, too.
#pragma once

#include <string>

#include "kernels/error.h"
#include "sim/registry.h"

namespace stampede {

struct Taxi {
  struct State {
    std::int32_t s;
    std::int32_t fickle;  // 1 while this episode's passenger will still change the destination
  };
  // Exact for the table; rounded for the step, which then needs no double precision on a GPU.
  struct Drift {
    double straight, lateral;  // probabilities of moving as intended, and to each of the two sides
    float straight_end, left_end;
    constexpr explicit Drift(double intended)
        : straight(intended),
          lateral((1.0 - intended) / 2.0),
          straight_end(static_cast<float>(intended)),
          left_end(static_cast<float>(intended + lateral)) {}
  };
  struct Params {
    Drift rain{0.8};
    float fickle_probability = static_cast<float>(0.3);
    bool is_rainy = false;
    bool fickle_passenger = false;
  };
  using Action = std::int32_t;

  static constexpr int kStates = 500;
  static constexpr std::int32_t kAboard = 4;
  static constexpr const char* kReference = "https://gymnasium.farama.org/environments/toy_text/taxi/";
  static constexpr EnvSpec specs[] = {
      {"Taxi-v4", Space::discrete(kStates), Space::discrete(6), 200, 8.0f, kReference},
      {"Taxi-v3", Space::discrete(kStates), Space::discrete(6), 200, 8.0f, kReference},
  };
  static constexpr StateField<State> state_fields[] = {
      {.name = "s", .integer = &State::s, .min = 0, .max = kStates - 1}};

  static void parse_rainy_probability(Params& p, std::string_view text) {
    p.rain = Drift(parse_probability("rainy_probability", text));
  }
  static void parse_fickle_probability(Params& p, std::string_view text) {
    p.fickle_probability = static_cast<float>(parse_probability("fickle_probability", text));
  }
  static constexpr ParamField<Params> param_fields[] = {
      {.name = "is_rainy", .help = "moves may drift sideways", .flag = &Params::is_rainy},
      {.name = "fickle_passenger", .help = "the destination may change", .flag = &Params::fickle_passenger},
      {.name = "rainy_probability",
       .help = "of moving as intended in rain, 0 to 1",
       .parse = parse_rainy_probability,
       .default_text = "0.8"},
      {.name = "fickle_probability",
       .help = "of a fickle passenger per episode, 0 to 1",
       .parse = parse_fickle_probability,
       .default_text = "0.3"},
  };

  HD static void reset(const Params& p, State& s, Rng& rng) {
    const auto k = static_cast<std::int32_t>(rng.below(300));
    const std::int32_t cell = k / 12;
    const std::int32_t passenger = k % 12 / 3;
    const std::int32_t other = k % 3;
    s.s = encode(cell, passenger, other + (other >= passenger));
    s.fickle = 0;
    if (p.fickle_passenger) s.fickle = rng.uniform() < p.fickle_probability;
  }

  HD static StepResult step(const Params& p, State& s, Action action, Rng& rng) {
    const Ride ride = decode(s.s);
    const Outcome done = serve(ride, action);
    const std::int32_t cell = driven(p, ride.cell, action, rng.uniform());
    const std::int32_t change = s.fickle & (ride.passenger == kAboard) & (cell != ride.cell);
    const std::int32_t to_other = 1 + static_cast<std::int32_t>(rng.below(3));
    s.fickle -= change;
    s.s = encode(cell, done.passenger, (ride.destination + change * to_other) & 3);
    return {static_cast<float>(done.reward), done.delivered};
  }

  HD static void observe(const Params&, const State& s, ObsWriter obs) { obs.set(0, s.s); }

  template <class Sink>
  static void transitions(const Params& p, int state, int action, Sink&& sink) {
    const Ride ride = decode(state);
    const Outcome done = serve(ride, action);
    const std::int32_t cell = neighbour(ride.cell, action);
    const auto emit = [&](double probability, std::int32_t to) {
      sink(probability, encode(to, done.passenger, ride.destination), static_cast<double>(done.reward),
           done.delivered != 0);
    };
    if (!p.is_rainy || action > 3) return emit(1.0, cell);
    const bool moves = cell != ride.cell;
    emit(p.rain.straight, cell);
    emit(p.rain.lateral, moves ? neighbour(ride.cell, left_of(action)) : ride.cell);
    emit(p.rain.lateral, moves ? neighbour(ride.cell, left_of(action) ^ 1) : ride.cell);
  }
  template <class Sink>
  static void start_states(const Params&, Sink&& sink) {
    for (std::int32_t s = 0; s < kStates; ++s) {
      const Ride ride = decode(s);
      if (ride.passenger < kAboard && ride.passenger != ride.destination) sink(1.0 / 300.0, s);
    }
  }

 private:
  struct Ride {
    std::int32_t cell, passenger, destination;
  };
  struct Outcome {
    std::int32_t passenger;
    std::int32_t reward;
    std::int32_t delivered;
  };

  // Bit `row * 5 + column`: no wall to the east.
  static constexpr std::int32_t kEastOpen = 13 | 13 << 5 | 15 << 10 | 10 << 15 | 10 << 20;

  static double parse_probability(std::string_view name, std::string_view text) {
    const double value = parse_number_list(name, text, 1)[0];
    if (value < 0 || value > 1) {
      throw UsageError("env." + std::string(name) + ": " + std::string(text) + " is out of range [0, 1]");
    }
    return value;
  }

  HD static std::int32_t encode(std::int32_t cell, std::int32_t passenger, std::int32_t destination) {
    return (cell * 5 + passenger) * 4 + destination;
  }
  HD static Ride decode(std::int32_t s) {
    const std::int32_t rest = s >> 2;
    const std::int32_t cell = (rest * 205) >> 10;  // rest / 5
    return {cell, rest - 5 * cell, s & 3};
  }

  HD static std::int32_t landmark_at(std::int32_t cell) {
    return 4 - 4 * (cell == 0) - 3 * (cell == 4) - 2 * (cell == 20) - (cell == 23);
  }

  HD static std::int32_t neighbour(std::int32_t cell, std::int32_t direction) {
    const std::int32_t down = ((direction == 0) & (cell < 20)) - ((direction == 1) & (cell >= 5));
    const std::int32_t east_open = (kEastOpen >> cell) & 1;
    const std::int32_t west_open = ((kEastOpen << 1) >> cell) & 1;
    const std::int32_t right = ((direction == 2) & east_open) - ((direction == 3) & west_open);
    return cell + 5 * down + right;
  }

  // South: east; north: west; east: north; west: south. The right is the opposite, left_of(d) ^ 1.
  HD static std::int32_t left_of(std::int32_t direction) { return (0b00'01'11'10 >> (2 * direction)) & 3; }

  // In rain a move that is possible may go sideways; u is uniform in [0, 1).
  HD static std::int32_t driven(const Params& p, std::int32_t from, std::int32_t action, float u) {
    const float intended = p.is_rainy ? p.rain.straight_end : 1.0f, left_end = p.rain.left_end;
    const std::int32_t to = neighbour(from, action);
    const std::int32_t right = u >= left_end;
    const std::int32_t side = neighbour(from, left_of(action) ^ right);
    const std::int32_t drifts = (to != from) & (u >= intended);
    return to + drifts * (side - to);
  }

  HD static Outcome serve(const Ride& ride, std::int32_t action) {
    const std::int32_t landmark = landmark_at(ride.cell);
    const std::int32_t picked = (action == 4) & (landmark == ride.passenger) & (ride.passenger < kAboard);
    const std::int32_t dropped = (action == 5) & (ride.passenger == kAboard) & (landmark < 4);
    const std::int32_t delivered = dropped & (landmark == ride.destination);
    const std::int32_t illegal = (action >= 4) - picked - dropped;
    const std::int32_t passenger =
        ride.passenger + (picked | dropped) * (picked * kAboard + dropped * landmark - ride.passenger);
    return {passenger, 21 * delivered - 9 * illegal - 1, delivered};
  }
};

}  // namespace stampede
