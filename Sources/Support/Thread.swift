internal import Glibc

/// Starts a thread that lives until its body returns.
public func detachThread(_ body: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread: pthread_t = 0
  let box = Unmanaged.passRetained(Box(body))
  let code = pthread_create(
    &thread, nil,
    { pointer in
      if let pointer { Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().body() }
      return nil
    }, box.toOpaque())
  if code != 0 { fatalError("cannot start a thread: \(String(cString: strerror(code)))") }
  pthread_detach(thread)
}
