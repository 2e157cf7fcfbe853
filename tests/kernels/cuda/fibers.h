// Many threads of control on one: each runs until it waits, so that a wait is a place where any
// other may go first.
//
// The order in which threads get their turn is drawn anew for each round, in groups of 32 (warps),
// from a fixed seed. A round in which nobody gets on is a deadlock, and is reported as one.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

namespace sora::kernels::cuda {

class Fibers {
 public:
  // Runs work(0) to work(count - 1) to their ends; rethrows what the first of them threw.
  void run(int count, const std::function<void(int)>& work) {
    fibers_.clear();
    error_ = nullptr;
    for (int i = 0; i < count; ++i) fibers_.push_back(std::make_unique<Fiber>(*this, i, work));
    std::vector<int> groups(static_cast<size_t>((count + kGroup - 1) / kGroup));
    std::iota(groups.begin(), groups.end(), 0);
    for (int ended = 0; ended < count;) {
      const uint64_t before = steps_;
      std::shuffle(groups.begin(), groups.end(), order_);
      ended = 0;
      for (const int group : groups) ended += run_group(group * kGroup, count);
      if (error_) std::rethrow_exception(error_);
      if (steps_ == before)
        throw std::runtime_error("deadlock: every thread waits for what never comes");
    }
  }

  // Lets the others run. A thread that waits calls it until what it waits for is there.
  [[gnu::noinline]] void pass() {
    if (__builtin_setjmp(running_->place) == 0) jump(scheduler_place_);
  }

  // Says that something happened that a waiting thread may have waited for.
  void step() { ++steps_; }

  std::mt19937& random() { return order_; }

 private:
  static constexpr int kGroup = 32;
  static constexpr size_t kStackBytes = size_t{1} << 17;
  static constexpr int kPlaceWords = 5;  // of __builtin_setjmp

  struct Fiber {
    Fiber(Fibers& fibers, int number, const std::function<void(int)>& work)
        : fibers(fibers), number(number), work(work), stack(new char[kStackBytes]) {
      getcontext(&context);
      context.uc_stack.ss_sp = stack.get();
      context.uc_stack.ss_size = kStackBytes;
      const auto address = reinterpret_cast<uintptr_t>(this);
      makecontext(&context, reinterpret_cast<void (*)()>(&Fiber::start), 2,
                  static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
    }
    static void start(unsigned high, unsigned low) {
      auto* fiber = reinterpret_cast<Fiber*>(static_cast<uintptr_t>(high) << 32 | low);
      try {
        fiber->work(fiber->number);
      } catch (...) {
        if (!fiber->fibers.error_) fiber->fibers.error_ = std::current_exception();
      }
      fiber->ended = true;
      fiber->fibers.step();
      jump(fiber->fibers.scheduler_place_);
    }
    Fibers& fibers;
    int number;
    const std::function<void(int)>& work;
    std::unique_ptr<char[]> stack;
    ucontext_t context = {};   // its beginning
    void* place[kPlaceWords];  // where it went on last
    bool begun = false, ended = false;
  };

  // The compiler wants it in another function than __builtin_setjmp, as it wants that one in a
  // function of its own.
  [[noreturn, gnu::noinline]] static void jump(void** place) { __builtin_longjmp(place, 1); }

  // Returns when it passes or has ended. Jumps cost a tenth of what swapcontext does, which asks
  // the system for the signal mask.
  [[gnu::noinline]] void enter(Fiber& fiber) {
    if (__builtin_setjmp(scheduler_place_) != 0) return;
    if (fiber.begun) jump(fiber.place);
    fiber.begun = true;
    setcontext(&fiber.context);
  }

  // The number of threads among these that have ended.
  int run_group(int first, int count) {
    int ended = 0;
    for (int i = first; i < std::min(first + kGroup, count); ++i) {
      running_ = fibers_[static_cast<size_t>(i)].get();
      if (!running_->ended) enter(*running_);
      ended += running_->ended;
    }
    return ended;
  }

  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* running_ = nullptr;
  void* scheduler_place_[kPlaceWords];
  uint64_t steps_ = 0;
  std::mt19937 order_{1};
  std::exception_ptr error_;
};

// Where a number of threads wait for each other, again and again.
class Meeting {
 public:
  // Returns once `wanted` threads have come; the last of them does `last` first.
  template <class Last>
  void wait(Fibers& fibers, size_t wanted, Last last) {
    if (arrive(fibers, wanted, last)) return;
    for (const size_t number = number_; number == number_;) fibers.pass();
  }
  void wait(Fibers& fibers, size_t wanted) {
    wait(fibers, wanted, [] {});
  }

  // Comes without waiting; true for the last.
  template <class Last>
  bool arrive(Fibers& fibers, size_t wanted, Last last) {
    if (++arrived_ < wanted) return false;
    last();
    arrived_ = 0;
    ++number_;
    fibers.step();
    return true;
  }

 private:
  size_t arrived_ = 0, number_ = 0;
};

}  // namespace sora::kernels::cuda
