/* Release of a key to evidence without a time and without a place for a key (protocol.md, sections 4 and 5). One good enclave,
 * a hostile host that owns keys and connections of its own and sees all evidence that the enclave ever makes, one broker.
 *
 *   spin -a release.pml && gcc -O2 -w -DSAFETY -o pan pan.c && ./pan
 *
 * Evidence binds: purpose, the connection and salt that its challenge is made of, and what stands in the channel's place: for a
 * release the key to answer to, for a session the connection. The host cannot make evidence; it shows what it saw, on any
 * connection, with any key and any salt and purpose said beside it, as often as it likes.
 *
 * Mutants: add a switch; pan must report the assertion named after it.
 *   M_KEY      digest of the key shown = that in the evidence: own      M_CHANNEL  made for this connection: fresh
 *   M_ONCE     one document, one call: once                             M_PURPOSE  made for a release: role, with M_KEY2: a session's
 *   channel is no digest of a key, so the purpose is a second line; M_KEY2 says that it were one.
 */
#define NC 3                    /* connections: 0 and 1 are the enclave's, 2 is the host's */
#define ND 4                    /* documents that are made */
#define MINE 1                  /* the enclave's RSA key */
#define HOSTS 2                 /* the host's */
#define SESSION 1
#define RELEASE 2

#ifdef M_KEY
#define CKEY 1
#else
#define CKEY (key == doc[d].place)
#endif
#ifdef M_CHANNEL
#define CCHANNEL 1
#else
#define CCHANNEL (doc[d].conn == c)
#endif
#ifdef M_ONCE
#define CONCE 1
#else
#define CONCE (!doc[d].used)
#endif
#ifdef M_PURPOSE
#define CPURPOSE 1
#else
#define CPURPOSE (doc[d].purpose == RELEASE)
#endif

typedef Doc { byte purpose, conn, place; bit used }
Doc doc[ND]; byte nd;
byte c, d, key;

init {
	do
	:: nd < ND ->           /* the enclave asks for a key, on one of its connections */
		atomic { select(c : 0 .. 1); doc[nd].purpose = RELEASE; doc[nd].conn = c; doc[nd].place = MINE; nd++; c = 0 }
	:: nd < ND ->           /* or shows that it is good: the channel is the connection's, never a key's */
		atomic { select(c : 0 .. 1); doc[nd].purpose = SESSION; doc[nd].conn = c;
#ifdef M_KEY2
			doc[nd].place = MINE;
#else
			doc[nd].place = 100 + c;
#endif
			nd++; c = 0 }
	:: nd > 0 ->            /* somebody calls the broker: the enclave, or the host with what it saw */
		atomic {
			select(d : 0 .. nd - 1); select(c : 0 .. NC - 1); select(key : MINE .. HOSTS);
			if
			:: CPURPOSE && CCHANNEL && CKEY && CONCE ->
				assert(key == MINE);                         /* own */
				assert(doc[d].conn == c);                    /* fresh */
				assert(!doc[d].used);                        /* once */
				assert(doc[d].purpose == RELEASE);           /* role */
				doc[d].used = 1
			:: else -> skip
			fi;
			d = 0; c = 0; key = 0
		}
	:: break
	od
}
