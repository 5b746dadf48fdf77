// Connects a session to nghttp2. Only the files of the session include this.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <vector>

#include "guard/h2/fields.h"
#include "guard/h2/session.h"

namespace bottle::guard::h2 {

// Holds the functions that nghttp2 calls, with a session as their `user`.
struct Session::Callbacks {
  // Return what every session of nghttp2 is made with.
  static nghttp2_session_callbacks* all();
  static nghttp2_option* options(Role role);
  // Gives nghttp2 the next bytes of a body.
  static ssize_t provide(nghttp2_session*, int32_t id, uint8_t* buffer, size_t size, uint32_t* flags,
                         nghttp2_data_source*, void* user);

 private:
  static Session& of(void* user) { return *static_cast<Session*>(user); }
  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* hd, void* user);
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value, uint8_t,
                    void* user);
  static int invalid_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                            uint8_t, void* user);
  static int frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int invalid_frame(nghttp2_session*, const nghttp2_frame*, int error, void* user);
  static int data_chunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user);
  static int frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int stream_close(nghttp2_session*, int32_t id, uint32_t code, void* user);
  static int error(nghttp2_session*, int, const char* message, size_t size, void* user);
};

// Returns the fields in the form of nghttp2, which borrows their texts.
std::vector<nghttp2_nv> name_values(const Fields& fields);

}  // namespace bottle::guard::h2
