// Which sequences a terminal knows is asked of chafa's own table, by the name of one that has the
// form wanted.
#include "lib/media/terminal_picture.h"

#include <chafa.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace sora {
namespace {

template <auto unref>
struct Unref {
  template <typename T>
  void operator()(T* object) const {
    unref(object);
  }
};
using TermInfo = std::unique_ptr<ChafaTermInfo, Unref<chafa_term_info_unref>>;
using Config = std::unique_ptr<ChafaCanvasConfig, Unref<chafa_canvas_config_unref>>;
using Canvas = std::unique_ptr<ChafaCanvas, Unref<chafa_canvas_unref>>;
using Symbols = std::unique_ptr<ChafaSymbolMap, Unref<chafa_symbol_map_unref>>;

TermInfo terminal_with(PictureForm form) {
  gchar kitty[] = "TERM=xterm-kitty", sixel[] = "TERM=mlterm", plain[] = "TERM=xterm-256color";
  gchar* environment[] = {form == PictureForm::Kitty   ? kitty
                          : form == PictureForm::Sixel ? sixel
                                                       : plain,
                          nullptr};
  return TermInfo(chafa_term_db_detect(chafa_term_db_get_default(), environment));
}

ChafaPixelMode pixel_mode(PictureForm form) {
  switch (form) {
    case PictureForm::Kitty:
      return CHAFA_PIXEL_MODE_KITTY;
    case PictureForm::Sixel:
      return CHAFA_PIXEL_MODE_SIXELS;
    case PictureForm::HalfBlocks:
      break;
  }
  return CHAFA_PIXEL_MODE_SYMBOLS;
}

ChafaCanvasMode canvas_mode(TerminalColours colours) {
  switch (colours) {
    case TerminalColours::True:
      return CHAFA_CANVAS_MODE_TRUECOLOR;
    case TerminalColours::Indexed256:
      return CHAFA_CANVAS_MODE_INDEXED_240;
    case TerminalColours::Indexed16:
      return CHAFA_CANVAS_MODE_INDEXED_16;
    case TerminalColours::None:
      break;
  }
  return CHAFA_CANVAS_MODE_FGBG;
}

// Without colours, shapes and shades say what they can.
Symbols symbols_for(TerminalColours colours) {
  Symbols symbols(chafa_symbol_map_new());
  const int tags = colours == TerminalColours::None
                       ? CHAFA_SYMBOL_TAG_SPACE | CHAFA_SYMBOL_TAG_BLOCK | CHAFA_SYMBOL_TAG_STIPPLE
                       : CHAFA_SYMBOL_TAG_SPACE | CHAFA_SYMBOL_TAG_VHALF;
  chafa_symbol_map_add_by_tags(symbols.get(), static_cast<ChafaSymbolTags>(tags));
  return symbols;
}

}  // namespace

TerminalDrawing draw_for_terminal(const Pictures& pictures, int64_t frame, const TerminalForm& form,
                                  int max_columns, int max_rows) {
  TerminalDrawing drawing;
  const double wide = static_cast<double>(pictures.width) / form.cell_width;  // cells at one to one
  const double high = static_cast<double>(pictures.height) / form.cell_height;
  const double scale = std::min(std::max(1, max_columns) / wide, std::max(1, max_rows) / high);
  drawing.columns =
      std::clamp(static_cast<int>(std::lround(wide * scale)), 1, std::max(1, max_columns));
  drawing.rows = std::clamp(static_cast<int>(std::lround(high * scale)), 1, std::max(1, max_rows));

  const TermInfo terminal = terminal_with(form.form);
  const Symbols symbols = symbols_for(form.colours);
  const Config config(chafa_canvas_config_new());
  chafa_canvas_config_set_geometry(config.get(), drawing.columns, drawing.rows);
  chafa_canvas_config_set_cell_geometry(config.get(), form.cell_width, form.cell_height);
  chafa_canvas_config_set_pixel_mode(config.get(), pixel_mode(form.form));
  chafa_canvas_config_set_canvas_mode(config.get(), form.form == PictureForm::HalfBlocks
                                                        ? canvas_mode(form.colours)
                                                        : CHAFA_CANVAS_MODE_TRUECOLOR);
  chafa_canvas_config_set_symbol_map(config.get(), symbols.get());
  if (form.colours == TerminalColours::None)
    chafa_canvas_config_set_dither_mode(config.get(), CHAFA_DITHER_MODE_ORDERED);
  const Canvas canvas(chafa_canvas_new(config.get()));
  chafa_canvas_draw_all_pixels(
      canvas.get(), CHAFA_PIXEL_RGB8, pictures.frame(frame), static_cast<gint>(pictures.width),
      static_cast<gint>(pictures.height), static_cast<gint>(pictures.width * 3));
  GString* text = chafa_canvas_print(canvas.get(), terminal.get());
  drawing.text.assign(text->str, text->len);
  g_string_free(text, TRUE);
  return drawing;
}

}  // namespace sora
