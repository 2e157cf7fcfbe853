// Storyboards: cards on a timeline, from a YAML or JSON file.
//
//   duration: 6              # seconds; without it, to the end of the last card, or 2 s after it
//                            # begins
//   style: pencil drawing    # said with every card's text
//   cards:
//     - at: 0                # seconds
//       text: a red ball bounces on the meadow
//       image: first.png     # shown at the card's time
//     - at: 2
//       for: 2               # the card ends then: a cut where the next one begins, else a gap
//       text: a blue ball bounces on the meadow
//     - at: 4
//       video: b.mp4         # shown from there on
//       from: 0.5            # the part of the video, in its own seconds
//       to: 1.5
//
// A card's text holds from its time on until the next card that has one.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

struct Card {
  double at_s = 0;
  std::optional<double> for_s;
  std::string text;
  std::string image;  // path; empty: none
  std::string video;  // likewise; a card has one of them at most
  double from_s = 0;
  std::optional<double> to_s;
};

struct Storyboard {
  // By time, at least one; the first that has a text says what is shown before it too.
  std::vector<Card> cards;
  std::optional<double> duration_s;
  std::string style;
};

// `name` is for messages. A text that begins with { is JSON, any other YAML. Throws Error(Input)
// naming the card and what is wrong with it.
Storyboard parse_storyboard(std::string_view text, const std::string& name);
// Paths of cards are taken from the file's folder. Throws Error(NotFound | Input).
Storyboard read_storyboard(const std::string& path);

// What parse_storyboard() reads as the same storyboard.
nlohmann::json to_json(const Storyboard& storyboard);

// A YAML document as JSON: plain scalars are null, booleans, integers, numbers or text as in YAML's
// core schema. Throws Error(Input), also for anchors, and for keys that are there twice.
nlohmann::json yaml_to_json(std::string_view text, const std::string& name);

}  // namespace sora
