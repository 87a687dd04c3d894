import Testing

@testable import Simulation

@Suite struct RSUQueueTests {
  /// A task is finished at its completion, not before; its service is what is left of it until then.
  @Test func tasksLeaveWhenTheyAreFinished() {
    var queue = RSUQueue()
    queue.append(completion: 2, service: 1.5)
    queue.append(completion: 3, service: 0.5)
    queue.removeFinished(at: 1)
    #expect(queue.count == 2)
    #expect(queue.wait(at: 1, rule: .serviceTime) == 1.5)
    #expect(queue.wait(at: 1, rule: .lastCompletion) == 2)
    queue.removeFinished(at: 1.75)
    #expect(queue.count == 2 && queue.wait(at: 1.75, rule: .serviceTime) == 0.75)
    queue.removeFinished(at: 2)
    #expect(queue.count == 1 && queue.wait(at: 2, rule: .serviceTime) == 0.5)
    queue.removeFinished(at: 2.75)
    #expect(queue.wait(at: 2.75, rule: .serviceTime) == 0.25)
    queue.removeFinished(at: 3)
    #expect(queue.count == 0 && queue.wait(at: 3, rule: .serviceTime) == 0)
  }
}
