// Translates regular expressions from Oniguruma's Ruby syntax, in which the `tokenizers` library
// reads them, to PCRE2's. Source: Oniguruma's doc/RE and the pages pcre2pattern and pcre2syntax.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace baton {

// To be compiled with PCRE2_UTF, PCRE2_UCP and PCRE2_MULTILINE. kUnimplemented names a construct
// that the two read differently and that is not translated.
Result<std::string> OnigurumaToPcre2(std::string_view pattern);

}  // namespace baton
