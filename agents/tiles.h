// SPDX-License-Identifier: Apache-2.0
// A batch cut into gradient groups, and groups into tiles that stay in cache.
#pragma once

#include <algorithm>

#include "agents/trainable_network.h"

namespace stampede {

struct Tile {
  int group, worker;
  int begin, rows;  // of the batch
  bool first;       // of its group, whose sums are cleared
};

// Calls work(stream, tile) for every tile, the tiles of a group in ascending order on one worker.
template <class Work>
void for_each_tile(const Stream& stream, int batch, int groups, int tile_rows, const Work& work) {
  for_each_group(stream, batch, groups, [&](int group, int begin, int end, int worker, const Stream& serial) {
    for (int at = begin; at < end; at += tile_rows) {
      work(serial, Tile{group, worker, at, std::min(tile_rows, end - at), at == begin});
    }
  });
}

}  // namespace stampede
