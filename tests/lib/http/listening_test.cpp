#include "lib/http/listening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/error_of.h"

namespace sora {
namespace {

class Stopper : public Observer {
 public:
  bool stop_requested() const override { return stopped_; }
  void stop() { stopped_ = true; }

 private:
  std::atomic<bool> stopped_ = false;
};

TEST(HostName, LeavesThePortOut) {
  EXPECT_EQ(name_of_host("localhost:8000"), "localhost");
  EXPECT_EQ(name_of_host("localhost"), "localhost");
  EXPECT_EQ(name_of_host("LOCALHOST:8000"), "localhost");
  EXPECT_EQ(name_of_host("[::1]:8000"), "::1");
  EXPECT_EQ(name_of_host("[::1]"), "::1");
  EXPECT_EQ(name_of_host(""), "");
}

TEST(Loopback, IsTheMachineItselfAndNoNameThatLooksLikeIt) {
  for (const char* name : {"127.0.0.1", "localhost", "::1"}) EXPECT_TRUE(is_loopback(name)) << name;
  for (const char* name :
       {"", "0.0.0.0", "localhost.evil.example", "evil.example", "127.0.0.1.evil"})
    EXPECT_FALSE(is_loopback(name)) << name;
}

TEST(Address, OfIPv6HasBracketsInAUrl) {
  EXPECT_EQ(in_url("::1"), "[::1]");
  EXPECT_EQ(in_url("127.0.0.1"), "127.0.0.1");
}

TEST(Port, ZeroTakesAFreeOne) {
  httplib::Server first, second;
  const int port = take_port(first, "127.0.0.1", 0);
  EXPECT_GT(port, 0);
  EXPECT_NE(take_port(second, "127.0.0.1", 0), port);
}

TEST(Port, IsNotSharedWithAnotherServer) {
  httplib::Server first, second;
  const int port = take_port(first, "127.0.0.1", 0);
  const Error error = error_of([&] { take_port(second, "127.0.0.1", port); });
  EXPECT_EQ(error.kind(), ErrorKind::Io);
  EXPECT_THAT(error.what(), testing::HasSubstr(std::to_string(port)));
}

TEST(Listening, AnswersUntilTheObserverAsksToStop) {
  httplib::Server server;
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("here", "text/plain");
  });
  const int port = take_port(server, "127.0.0.1", 0);
  Stopper observer;
  std::atomic<int> calls = 0;
  std::thread listener([&] { answer_until_stopped(server, observer, [&] { ++calls; }); });
  httplib::Client client("127.0.0.1", port);
  const httplib::Result here = client.Get("/");
  while (calls < 2) std::this_thread::yield();
  observer.stop();
  listener.join();
  ASSERT_TRUE(here);
  EXPECT_EQ(here->body, "here");
  EXPECT_FALSE(client.Get("/"));
}

TEST(Listening, AConnectionThatGoesOnAfterAStopIsNotWaitedForForEver) {
  httplib::Server server;
  std::atomic<bool> is_asked = false, is_over = false;
  server.Get("/", [&](const httplib::Request&, httplib::Response&) {
    is_asked = true;
    while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  const int port = take_port(server, "127.0.0.1", 0);
  Stopper observer;
  std::thread listener([&] {
    answer_until_stopped(
        server, observer, [] {}, [&] { is_over = true; });
  });
  std::thread asker([&] { httplib::Client("127.0.0.1", port).Get("/"); });
  while (!is_asked) std::this_thread::yield();
  observer.stop();
  listener.join();
  asker.join();
  EXPECT_TRUE(is_over);
}

TEST(Listening, AConnectionBringsOneRequest) {
  httplib::Server server;
  server.Get("/", [](const httplib::Request&, httplib::Response&) {});
  const int port = take_port(server, "127.0.0.1", 0);
  Stopper observer;
  std::thread listener([&] { answer_until_stopped(server, observer); });
  httplib::Client client("127.0.0.1", port);
  client.set_keep_alive(true);
  const httplib::Result answer = client.Get("/");
  observer.stop();
  listener.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->get_header_value("Connection"), "close");
}

TEST(Listening, EndsWhereAStopCameBeforeIt) {
  Stopper observer;
  observer.stop();
  bool was_called = false;
  for (int round = 0; round < 1000; ++round) {  // which of two threads comes first is chance
    httplib::Server server;
    take_port(server, "127.0.0.1", 0);
    answer_until_stopped(server, observer, [&] { was_called = true; });
  }
  EXPECT_FALSE(was_called);
}

}  // namespace
}  // namespace sora
