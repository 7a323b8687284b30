#pragma once
/* For C++ (11 and later): everything that is installed, with the linkage it has. */
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
#include "attest/appraiser.h"
#include "attest/attest.h"
#include "attest/cache.h"
#include "attest/dcap.h"
#include "attest/ear.h"
#include "attest/foreign.h"
#include "attest/nitro.h"
#include "attest/ratls.h"
#include "attest/reference.h"
#include "attest/show.h"
}
