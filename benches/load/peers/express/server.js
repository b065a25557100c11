// The Node gateway that Airside replaces, as its packages' own pages write it; one process, a kept agent.
const http = require('node:http');
const express = require('express');
const { rateLimit } = require('express-rate-limit');
const { createProxyMiddleware } = require('http-proxy-middleware');
const jwt = require('jsonwebtoken');

const app = express();
app.set('etag', false);
const limit = (max) => rateLimit({ windowMs: 60_000, limit: max, standardHeaders: 'draft-8', legacyHeaders: false });
const proxy = createProxyMiddleware({
    target: 'http://127.0.0.1:{upstream}',
    xfwd: true,
    agent: new http.Agent({ keepAlive: true, maxSockets: 256 }),
});
// Mounted paths are cut off: the upstream answers any.
const authenticate = (request, response, next) => {
    const token = request.get('authorization')?.replace(/^Bearer /, '');
    try {
        request.claims = jwt.verify(token, {literal}, { algorithms: ['{algorithm}'], issuer: '{issuer}', audience: '{audience}' });
    } catch {
        return response.status(401).json({ code: 'unauthenticated' });
    }
    next();
};
const role = (name) => (request, response, next) =>
    request.claims.roles.includes(name) ? next() : response.status(403).json({ code: 'forbidden' });

app.use('/plain', proxy);
app.use('/body', createProxyMiddleware({
    target: 'http://127.0.0.1:{upstream}/body', agent: new http.Agent({ keepAlive: true, maxSockets: 256 }),
}));
app.use('/tight', limit(1), proxy);
app.use('/full', limit(1e9), authenticate, role('customer'), proxy);
http.createServer({ keepAliveTimeout: 600_000 }, app).listen({gateway}, '127.0.0.1');
