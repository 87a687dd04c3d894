#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "include/CProcess.h"

/// Occupies standard input, output and error where they are closed, so that no file of the program gets their numbers.
///
/// Runs before Swift's run time, which opens descriptors of its own. What is written to them fails, and so does what is
/// read from them, as on a closed descriptor.
__attribute__((constructor)) static void occupy_standard_descriptors(void) {
  for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++) {
    if (fcntl(number, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one: those below are occupied.
    open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}
