-- KEYS entries and their leases: who fills at this moment must not store any more.
return redis.call('DEL', unpack(KEYS))
