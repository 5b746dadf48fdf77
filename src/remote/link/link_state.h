// Defines the states of the connection to another machine, and all transitions between them. It is pure: far_link.h
// reports what happens and holds the connection. ARCHITECTURE.md has the table.
#pragma once

#include <cstdint>

namespace bottle::remote {

// The state of a FarLink. It is in exactly one of them.
enum class LinkState : uint8_t {
  down,           // there is no connection, and no attempt to make one
  connecting,     // an attempt is under way in its thread
  greeting,       // connected, and the machine's hello has not come
  deaf_greeting,  // the same, but the machine has stopped reading, so nothing is sent
  up,             // the hello has come
  deaf,           // the same, but the machine has stopped reading; what it sent before is still read
  lost,           // the connection broke, and the user of the link was not told yet
};

// What can happen to a FarLink.
enum class LinkEvent : uint8_t {
  attempt_began,
  attempt_failed,
  connected,
  hello_came,
  stopped_reading,  // the other side reads nothing of what is sent
  broke,
  loss_told,
  closed,  // by the user of the link
};

// Returns whether there is a connection to read from.
constexpr bool is_connected(LinkState state) {
  return state == LinkState::greeting || state == LinkState::deaf_greeting || state == LinkState::up ||
         state == LinkState::deaf;
}
// Returns whether the hello is still to be read.
constexpr bool awaits_hello(LinkState state) {
  return state == LinkState::greeting || state == LinkState::deaf_greeting;
}
// Returns whether the other side reads what is sent.
constexpr bool may_send(LinkState state) { return state == LinkState::greeting || state == LinkState::up; }

// Returns the state after an event. An event that has no meaning in a state changes nothing. Pure.
constexpr LinkState after(LinkState state, LinkEvent event) {
  switch (event) {
    case LinkEvent::attempt_began:
      return state == LinkState::down ? LinkState::connecting : state;
    case LinkEvent::attempt_failed:
      return state == LinkState::connecting ? LinkState::down : state;
    case LinkEvent::connected:
      return LinkState::greeting;
    case LinkEvent::hello_came:
      if (state == LinkState::greeting) return LinkState::up;
      return state == LinkState::deaf_greeting ? LinkState::deaf : state;
    case LinkEvent::stopped_reading:
      if (state == LinkState::greeting) return LinkState::deaf_greeting;
      return state == LinkState::up ? LinkState::deaf : state;
    case LinkEvent::broke:
      return is_connected(state) ? LinkState::lost : state;
    case LinkEvent::loss_told:
      return state == LinkState::lost ? LinkState::down : state;
    case LinkEvent::closed:
      // Nothing can end an attempt, so its outcome is still reported.
      return state == LinkState::connecting ? state : LinkState::down;
  }
}

}  // namespace bottle::remote
