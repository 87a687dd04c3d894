/// Joins the requests of an episode to transitions: each leads to the next request at the same RSU.
///
/// The state of that request shows what the first decision did to the RSU's queue. The last request of an
/// episode at an RSU has no successor and is left out. At discount 0 no value follows from a successor, so every
/// request is a transition by itself, at once.
struct RequestChain {
  private let isChained: Bool
  /// The last request of each RSU in this episode.
  private var pending: [Transition?]

  init(rsus: Int, discount: Double) {
    isChained = discount > 0
    pending = Array(repeating: nil, count: rsus)
  }

  mutating func beginEpisode() {
    for rsu in pending.indices { pending[rsu] = nil }
  }

  /// Takes a request with its decision and reward, and returns the transition that is complete by it.
  ///
  /// - Parameter rsu: Place of the RSU that decided, counted from 0.
  mutating func append(_ request: Transition, rsu: Int) -> Transition? {
    guard isChained else { return request }
    defer { pending[rsu] = request }
    guard var before = pending[rsu] else { return nil }
    before.next = Transition.Successor(state: request.state, allowed: request.allowed)
    return before
  }
}
