#include <memory>

#include "apps/baton/verbs.h"
#include "hub/synthetic_model.h"

namespace baton::app {
namespace {

struct SynthOptions {
  std::string shape = "tiny";
  std::string path;
  int layers = 0;
  hub::SyntheticOptions model;
};

std::string CheckShape(const std::string& text) {
  const auto shape = hub::ParseShape(text);
  return shape.ok() ? "" : shape.error().message();
}

int Run(SynthOptions options) {
  auto shape = hub::ParseShape(options.shape);
  if (!shape.ok()) return Fail(shape.error());
  options.model.shape = *std::move(shape);
  if (options.layers > 0) options.model.shape.n_layers = options.layers;
  const Status status = hub::WriteSyntheticModel(options.path, options.model);
  return status.ok() ? 0 : Fail(status.error());
}

}  // namespace

void AddSynth(CLI::App& root, const Environment&, Work& chosen) {
  auto options = std::make_shared<SynthOptions>();
  CLI::App* verb =
      root.add_subcommand("synth", "a random-weight model in a real shape, for measuring");
  verb->add_option("--shape", options->shape, "a known name, or layers=4,hidden=256,...")
      ->required()
      ->check(CheckShape);
  verb->add_option("--type", options->model.type, "type of the weights")
      ->check(CLI::IsMember(hub::SyntheticTypes()));
  verb->add_option("-o,--output", options->path, "file to write")->required();
  verb->add_option("--seed", options->model.seed, "same seed, same bytes");
  verb->add_option("--layers", options->layers, "so many layers instead of the shape's own")
      ->check(CLI::Range(1, 4096));
  verb->callback([options, &chosen] { chosen = [options] { return Run(*options); }; });
}

}  // namespace baton::app
