// What this machine can play: how many bytes a second two nodes on it can send each other, and how
// fast a lab's clock may run so that phantoms and links are what they pretend to be.
#pragma once

#include <string>

#include "base/result.h"

namespace baton::app {

// Bytes per second of one TLS connection between two threads of this program over the loopback
// device: the best of a few short tries, half a second in all. While it runs there are threads.
Result<double> MeasureCarried();

// What some rows ask of the machine, at the speed of life.
struct LabNeed {
  double link_bytes_per_s = 0;   // of the fastest link that a row's nodes share; 0: none
  double local_bytes_per_s = 0;  // of KV that changes seats on one node; 0: none does
  double own_share = 0;  // what this program's own work adds to the time of a token, at most
  double seconds = 0;    // that all rows take
};

struct ChosenSpeed {
  double speed = 1;
  bool cut_short = false;  // slower would be better, but would take too long
};
// One of a few steps, so that the same machine nearly always chooses the same. Pure.
ChosenSpeed ChooseSpeed(double carried_bytes_per_s, const LabNeed& need);
// A line about that.
std::string Describe(const ChosenSpeed& chosen, double carried_bytes_per_s, const LabNeed& need);

}  // namespace baton::app
