// Makes the guard's image from the program that bottle carries, without a registry. The hash of the program is the
// image's tag, so an engine that has the tag has exactly this guard, and an upgrade of bottle makes a new image
// instead of changing one that is in use.
#include "session/images/guard_image.h"

#include "base/os/this_program.h"
#include "base/stream.h"
#include "docker/tar/tar.h"
#include "session/images/programs.h"

namespace bottle::session {
namespace {

// The tag is the hash of the program, so a guard of another version or processor is another image.
std::string reference_of_guard(std::string_view program) { return "bottle-guard:" + digest_of(program).substr(0, 12); }

}  // namespace

std::string guard_reference() {
  // The program for our own processor is in this file, so it is always found.
  static const std::string reference = reference_of_guard(*program_for(Program::guard, own_architecture(), ""));
  return reference;
}

Result<std::string> ensure_guard_image(docker::Engine& engine) {
  if (TRY(engine.image_exists(guard_reference()))) return guard_reference();
  // An engine on another processor never has that image. This point is therefore reached only at the first start on an
  // engine, and at each start on an engine with another processor.
  std::string architecture = TRY(engine.info()).architecture;
  if (architecture.empty()) architecture = own_architecture();
  std::string_view program = TRY(program_for(Program::guard, architecture, directory_of_self()));
  std::string reference = reference_of_guard(program);
  if (reference != guard_reference() && TRY(engine.image_exists(reference))) return reference;
  std::string archive;
  docker::TarWriter tar(sink_to(archive));
  // This file is the whole image: a guard needs no shell, no libraries and no other file.
  TRY(tar.file("guard", 0755, 0, 0, program));
  TRY(tar.finish());
  TRY(engine.import_image(reference, source_of(archive), {"ENTRYPOINT [\"/guard\"]", "LABEL bottle.image=guard"}));
  return reference;
}

}  // namespace bottle::session
