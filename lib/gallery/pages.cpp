// No script or style stands in a page: the content policy forbids them, and everything that comes
// from a clip passes html_text().
#include "lib/gallery/pages.h"

#include <fmt/format.h>

#include "lib/core/ascii.h"
#include "lib/core/utf8.h"
#include "lib/gallery/commands.h"
#include "lib/gallery/html.h"
#include "lib/provenance/digest.h"

namespace sora {
namespace {

constexpr size_t kCardPromptBytes = 400;
constexpr int kMaxGenerations = 6;
constexpr size_t kMaxChildren = 40;
constexpr size_t kVersionDigits = 16;

constexpr char kPagePolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'";

// `root` leads from the page to the gallery's folder: "" or "../".
std::string head(const std::string& title, const std::string& root) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<title>{}</title>\n<link rel=\"icon\" href=\"{}icon.svg\">\n<link rel=\"stylesheet\" "
      "href=\"{}gallery.css\">\n",
      kPagePolicy, html_text(title), root, root);
}

std::string title_of(const GalleryClip& clip) {
  return clip.prompt.empty() ? clip.name : clip.prompt;
}

std::string shortened(const std::string& text, size_t max_bytes) {
  const std::string_view kept = utf8_prefix(text, max_bytes);
  return std::string(kept) + (kept.size() < text.size() ? "…" : "");
}

std::string link_to(const GalleryClip& clip) {
  const std::string poster =
      clip.poster.empty()
          ? ""
          : fmt::format("<img src=\"../{}\" alt=\"\" loading=\"lazy\">", html_text(clip.poster));
  return fmt::format("<a href=\"{}.html\">{}<span dir=\"auto\">{}</span></a>", html_text(clip.id),
                     poster, html_text(shortened(title_of(clip), 120)));
}

std::string ancestors(const GalleryClip& clip, const Family& family, int generations) {
  const auto sources = family.sources_of(clip);
  const std::vector<std::string> unknown = family.unknown_sources(clip);
  if ((sources.empty() && unknown.empty()) || generations == 0) return "";
  std::string html = fmt::format("<p class=\"relation\">{}</p><ul class=\"sources\">",
                                 html_text(relation(clip.operation)));
  for (const GalleryClip* source : sources) {
    html += "<li>" + link_to(*source) + ancestors(*source, family, generations - 1) + "</li>";
  }
  int64_t num_unseen = 0;
  for (const std::string& picture : unknown) {
    if (picture.empty()) {
      ++num_unseen;
      continue;
    }
    html += fmt::format(
        "<li class=\"unknown\"><img src=\"../{}\" alt=\"\" loading=\"lazy\">not in this "
        "gallery</li>",
        html_text(picture));
  }
  if (num_unseen > 0)
    html += fmt::format("<li class=\"unknown\">{} not in this gallery</li>", num_unseen);
  return html + "</ul>";
}

std::string descendants(const GalleryClip& clip, const Family& family, int generations) {
  const auto children = family.made_from(clip);
  if (children.empty() || generations == 0) return "";
  std::string html = "<ul class=\"descendants\">";
  for (size_t i = 0; i < std::min(children.size(), kMaxChildren); ++i) {
    html += fmt::format("<li><span class=\"relation\">{}</span>{}{}</li>",
                        html_text(children[i]->operation), link_to(*children[i]),
                        descendants(*children[i], family, generations - 1));
  }
  if (children.size() > kMaxChildren)
    html += fmt::format("<li class=\"unknown\">and {} more</li>", children.size() - kMaxChildren);
  return html + "</ul>";
}

std::string player(const GalleryClip& clip) {
  const std::string media = "../" + html_text(clip.media), name = ascii_lower(clip.media);
  const bool is_picture =
      name.ends_with(".gif") || name.ends_with(".webp") || name.ends_with(".apng");
  if (is_picture) {
    return fmt::format("<img id=\"clip\" src=\"{}\" alt=\"{}\">", media,
                       html_text(shortened(title_of(clip), kCardPromptBytes)));
  }
  const std::string poster =
      clip.poster.empty() ? "" : fmt::format(" poster=\"../{}\"", html_text(clip.poster));
  return fmt::format(
      "<video id=\"clip\" src=\"{}\"{} controls loop muted playsinline "
      "preload=\"metadata\"></video>",
      media, poster);
}

std::string command_block(const std::string& heading, const std::string& command) {
  if (command.empty()) return "";
  return fmt::format(
      "<section class=\"command\"><h2>{}</h2><div class=\"copyable\"><pre><code>{}</code></pre>"
      "<button type=\"button\" class=\"copy\">Copy</button></div></section>\n",
      heading, html_text(command));
}

std::string fact(const char* name, const std::string& value) {
  if (value.empty()) return "";
  return fmt::format("<dt>{}</dt><dd dir=\"auto\">{}</dd>", name, html_text(value));
}

std::string facts(const GalleryClip& clip) {
  return "<dl class=\"facts\">" + fact("Operation", clip.operation) + fact("Model", clip.model) +
         fact("Preset", clip.preset) + fact("Seed", clip.seed) +
         fact("Size", fmt::format("{}×{}", clip.width, clip.height)) +
         fact("Length", fmt::format("{} frames, {:g} a second", clip.num_frames, clip.fps)) +
         fact("File", clip.name) + fact("ID", clip.id) + "</dl>\n";
}

}  // namespace

std::string index_page(const std::string& title) {
  return head(title, "") +
         fmt::format(
             "<script src=\"data/clips.js\" defer></script>\n<script src=\"data/live.js\" "
             "defer></script>\n"
             "<script src=\"gallery.js\" defer></script>\n</head>\n<body "
             "class=\"index\">\n<header>\n<h1>{}</h1>\n"
             "<div class=\"tabs\" role=\"tablist\">"
             "<button type=\"button\" role=\"tab\" data-tab=\"featured\">Featured</button>"
             "<button type=\"button\" role=\"tab\" data-tab=\"recent\">Recent</button>"
             "<button type=\"button\" role=\"tab\" "
             "data-tab=\"favourites\">Favourites</button></div>\n"
             "<div class=\"tools\"><input id=\"search\" type=\"search\" placeholder=\"Search "
             "words\" aria-label=\"Search words\" "
             "autocomplete=\"off\" spellcheck=\"false\">"
             "<select id=\"operation\" aria-label=\"Operation\"></select><select id=\"model\" "
             "aria-label=\"Model\"></select>"
             "<select id=\"preset\" aria-label=\"Preset\"></select><select id=\"size\" "
             "aria-label=\"Size\"></select>"
             "<button type=\"button\" id=\"theme\" aria-label=\"Light or dark\" title=\"Light or "
             "dark\">◐</button></div>\n</header>\n"
             "<main><p id=\"count\" role=\"status\"></p><div id=\"grid\"></div><div "
             "id=\"more\"></div></main>\n"
             "<footer>Keys: <kbd>/</kbd> search, arrows move, <kbd>Enter</kbd> opens, <kbd>f</kbd> "
             "favourite, <kbd>t</kbd> light or "
             "dark</footer>\n<noscript>Searching needs JavaScript; every clip has its own page in "
             "the folder clip.</noscript>\n"
             "</body>\n</html>\n",
             html_text(title));
}

std::string clip_page(const GalleryClip& clip, const Family& family, const std::string& title) {
  std::string tree = ancestors(clip, family, kMaxGenerations);
  const std::string below = descendants(clip, family, kMaxGenerations);
  if (!below.empty()) tree += "<p class=\"relation\">became</p>" + below;
  const std::string recipe =
      clip.manifest.is_object()
          ? clip.manifest.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
          : "";
  std::string page = head(shortened(title_of(clip), 80) + " · " + title, "../");
  page += fmt::format(
      "<script src=\"../gallery.js\" defer></script>\n</head>\n<body class=\"clip\" "
      "data-id=\"{}\">\n",
      html_text(clip.id));
  page += fmt::format(
      "<header><a class=\"back\" href=\"../index.html\">← {}</a><div class=\"tools\">"
      "<button type=\"button\" id=\"favourite\" aria-pressed=\"false\" aria-label=\"Favourite\" "
      "title=\"Favourite\">♡</button>"
      "<button type=\"button\" id=\"theme\" aria-label=\"Light or dark\" title=\"Light or "
      "dark\">◐</button></div></header>\n",
      html_text(title));
  page += "<main>\n<div class=\"stage\">" + player(clip) + "</div>\n<div class=\"story\">\n";
  page += fmt::format("<h1 dir=\"auto\">{}</h1>\n", html_text(title_of(clip)));
  page += facts(clip);
  page += command_block("Make it again", again_command(clip));
  page += command_block("Remix this", remix_command(clip));
  if (!tree.empty()) page += "<section class=\"family\"><h2>Family</h2>" + tree + "</section>\n";
  page += fmt::format("<p><a href=\"../{}\" download>Download the clip</a></p>\n",
                      html_text(clip.media));
  if (!recipe.empty()) {
    page +=
        fmt::format("<details><summary>Recipe</summary><pre class=\"recipe\">{}</pre></details>\n",
                    html_text(recipe));
  }
  return page + "</div>\n</main>\n</body>\n</html>\n";
}

PageData page_data(const std::vector<GalleryClip>& clips,
                   const std::vector<std::string>& featured) {
  nlohmann::json rows = nlohmann::json::array();
  for (const GalleryClip& clip : clips) {
    rows.push_back({clip.id, visible_text(shortened(title_of(clip), kCardPromptBytes)),
                    clip.operation, visible_text(clip.model), visible_text(clip.preset), clip.width,
                    clip.height, clip.num_frames, clip.fps, clip.made, clip.poster, clip.preview});
  }
  nlohmann::json data = {{"featured", featured}, {"clips", rows}};
  std::string version = sha256_of_bytes(data.dump()).substr(0, kVersionDigits);
  data["version"] = version;
  return {"window.soraGallery = " + script_data(data) + ";\n", std::move(version)};
}

}  // namespace sora
