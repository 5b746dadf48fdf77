#include "wire/places/places.h"

namespace bottle::wire {

void fields(Object& o, ChangedPlace& place) {
  o.text("directory", place.directory, kPath);
  if (o.optional("patch", true)) o.text("patch", place.patch, kPath);
  if (o.optional("filtered", true)) o.text("filtered", place.filtered, kPath);
}

// A workspace may hold many repositories, as a mirror of a package registry does.
void fields(Object& o, ChangedPlaces& places) { o.objects("places", places.places, 100'000); }

Result<ChangedPlaces> decode_places(std::string_view text) {
  if (text.starts_with('[')) return decode<ChangedPlaces>("{\"places\":" + std::string(text) + "}", From::ours);
  return decode<ChangedPlaces>(text, From::ours);
}

}  // namespace bottle::wire
