# Writes the SHA-256 of FILE into the file DIGEST, in hexadecimal.
file(SHA256 ${FILE} text)
file(WRITE ${DIGEST} ${text})
