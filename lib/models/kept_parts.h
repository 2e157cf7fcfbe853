// Parts of a model that stay loaded from one clip to the next, where a batch asked for it:
// transformer, decoder, encoded texts. Whatever is kept is immutable.
#pragma once

#include <map>
#include <memory>
#include <string>

namespace sora {

class KeptParts {
 public:
  // The part of this name, loaded the first time. One name always stands for one type.
  template <typename Part, typename Load>
  std::shared_ptr<const Part> get(const std::string& name, Load load) {
    const auto found = parts_.find(name);
    if (found != parts_.end()) return std::static_pointer_cast<const Part>(found->second);
    const std::shared_ptr<const Part> part = load();
    parts_[name] = part;
    return part;
  }

  // Nothing where no part of this name is kept.
  template <typename Part>
  std::shared_ptr<const Part> find(const std::string& name) const {
    const auto found = parts_.find(name);
    return found == parts_.end() ? nullptr : std::static_pointer_cast<const Part>(found->second);
  }

  // Lets go of all parts whose name begins so.
  void drop(const std::string& prefix) {
    for (auto part = parts_.lower_bound(prefix);
         part != parts_.end() && part->first.rfind(prefix, 0) == 0;)
      part = parts_.erase(part);
  }

 private:
  std::map<std::string, std::shared_ptr<const void>> parts_;
};

}  // namespace sora
