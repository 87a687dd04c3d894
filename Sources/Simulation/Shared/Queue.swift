/// Backlog of a queue at the end of a slot, P1 eq (8), (10), (16): max(Q - f tau + arrivals, 0).
///
/// Work that arrives in a slot can be served in the same slot.
@inline(__always)
public func backlogAfterSlot(_ backlog: Double, served: Double, arrivals: Double) -> Double {
  max(backlog - served + arrivals, 0)
}
