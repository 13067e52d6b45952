/* Lets Debian trixie's static libruy link on bookworm: it calls __isoc23_strtol, which glibc has only since 2.38.
 * (Before C23, strtol and __isoc23_strtol differ in nothing but the 0b prefix, which ruy does not use.) */
#include <features.h>

#if !__GLIBC_PREREQ(2, 38)
#include <stdlib.h>

__attribute__((visibility("hidden"))) long __isoc23_strtol(const char *text, char **end, int base);

long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }
#endif
