// Debian builds libxml2 with ICU, whose headers clash with those inside Foundation. VECLab converts
// no encodings through ICU, so the switch is turned off before any other header is read.
#include <libxml/xmlversion.h>
#undef LIBXML_ICU_ENABLED
#include <libxml/parser.h>
#include <libxml/SAX2.h>
#include <libxml/xmlerror.h>
